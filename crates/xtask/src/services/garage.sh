# Garage with one node on loopback, until it is told to end.
#
# garage.sh PROGRAM DIRECTORY PORT RPC_PORT BUCKET ACCESS_KEY SECRET_KEY
#
# DIRECTORY/ready is there once the bucket is.
set -eu
program=$1 data=$2 port=$3 rpc=$4 bucket=$5 access=$6 secret=$7

cat > "$data/garage.toml" <<END
metadata_dir = "$data/meta"
data_dir = "$data/blocks"
db_engine = "sqlite"
replication_factor = 1
rpc_bind_addr = "127.0.0.1:$rpc"
rpc_public_addr = "127.0.0.1:$rpc"
rpc_secret = "$(tr -d - < /proc/sys/kernel/random/uuid)$(tr -d - < /proc/sys/kernel/random/uuid)"
[s3_api]
api_bind_addr = "127.0.0.1:$port"
s3_region = "garage"
END
garage() {
    "$program" --config "$data/garage.toml" "$@"
}
# Whoever starts this may end without telling; then the server is told.
RUST_LOG=warn setpriv --pdeathsig TERM "$program" --config "$data/garage.toml" server &
server=$!
trap 'kill $server || :; wait $server || :; exit 0' TERM
until garage status > /dev/null 2>&1; do
    kill -0 "$server"
    sleep 0.1
done
node=$(garage node id --quiet)
garage layout assign --zone one --capacity 20G "${node%%@*}"
garage layout apply --version 1
garage key import --yes -n tests "$access" "$secret"
garage bucket create "$bucket"
garage bucket allow --read --write --owner "$bucket" --key "$access"
touch "$data/ready"
wait
