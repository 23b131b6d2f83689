# Ceph with a monitor, a disk in memory and a gateway, all on loopback, until it is told to end.
#
# ceph.sh DIRECTORY GATEWAY_PORT MONITOR_PORT BUCKET ACCESS_KEY SECRET_KEY
#
# DIRECTORY/ready is there once the bucket is.
set -eu
data=$1 gateway=$2 monitor=$3 bucket=$4 access=$5 secret=$6

cluster=$(cat /proc/sys/kernel/random/uuid)
disk=$(cat /proc/sys/kernel/random/uuid)
mkdir -p "$data/mon" "$data/osd" "$data/rgw"
cat > "$data/ceph.conf" <<END
[global]
fsid = $cluster
mon host = v2:127.0.0.1:$monitor/0
mon initial members = a
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
ms bind ipv6 = false
ms bind msgr1 = false
keyring = $data/keyring
run dir = $data
admin socket =
pid file =
log to file = false
log to stderr = true
mon cluster log to file = false
mon data = $data/mon
mon allow pool size one = true
mon max pg per osd = 2000
mon data avail crit = 1
osd data = $data/osd
osd objectstore = memstore
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 4
osd pool default pgp num = 4
memstore device bytes = 4294967296
rgw data = $data/rgw
client mount timeout = 240
rados mon op timeout = 240
rados osd op timeout = 240
END
key() {
    ceph-authtool "$data/keyring" --gen-key --name "$1" --cap mon 'allow *' --cap osd 'allow *'
}
ceph-authtool "$data/keyring" --create-keyring
key mon.
key client.admin
key osd.0
monmaptool --create --clobber --fsid "$cluster" --addv a "[v2:127.0.0.1:$monitor]" \
    --set-min-mon-release pacific "$data/monmap"

pids=
# Whoever starts this may end without telling; then its children are told.
start() {
    setpriv --pdeathsig TERM "$@" --conf "$data/ceph.conf" --foreground &
    pids="$pids $!"
}
# The gateway first, and the monitor last: each needs the others to end well.
stop() {
    for pid in $(for pid in $pids; do echo "$pid"; done | tac); do
        kill "$pid" 2> /dev/null || continue
        wait "$pid" || :
    done
    exit 0
}
trap stop TERM
# So that one that does not come back dies with us, and not after us.
run() {
    setpriv --pdeathsig KILL timeout 300 "$@"
}

run ceph-mon --conf "$data/ceph.conf" --mkfs --id a --monmap "$data/monmap"
start ceph-mon --id a
run ceph --conf "$data/ceph.conf" osd new "$disk" 0
run ceph-osd --conf "$data/ceph.conf" --id 0 --mkfs --osd-uuid "$disk"
start ceph-osd --id 0
run radosgw-admin --conf "$data/ceph.conf" user create --uid entrepot --display-name entrepot \
    --access-key "$access" --secret-key "$secret"
start radosgw --name client.admin --rgw-frontends "beast endpoint=127.0.0.1:$gateway"
# Nothing but a signed request makes a bucket.
run curl --silent --show-error --fail --retry 240 --retry-delay 1 --retry-all-errors --output /dev/null \
    --aws-sigv4 aws:amz:us-east-1:s3 --user "$access:$secret" \
    --header 'x-amz-content-sha256: UNSIGNED-PAYLOAD' --request PUT "http://127.0.0.1:$gateway/$bucket"
touch "$data/ready"
wait
