//! Rows of `storage`, of upload sessions and of limits.

use std::time::Duration;

use super::{Fate, Key, Kind, SECOND, YEAR, duration};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);
const MIB: u64 = 1 << 20;

pub(super) const KEYS: &[Key] = &[
    Key::new("storage", Kind::Choice, "Where the registry keeps its data: exactly one of the stores below. Without it, a directory `./entrepot-data`."),
    Key::new("storage.filesystem", Kind::Optional, "Keeps the data in a directory."),
    Key::new("storage.filesystem.rootdirectory", Kind::Path, "The directory. It is created when it is missing.")
        .default("/var/lib/registry")
        .example("/srv/registry"),
    Key::new("storage.filesystem.maxthreads", Kind::Count(1, 10_000), "The most file operations at work at the same time; fewer than 25 are raised to 25, as in distribution.")
        .default("100")
        .example("64"),
    Key::new("storage.inmemory", Kind::Optional, "Keeps the data in memory: gone at the end of the process. For tests."),
    Key::new("storage.conditionalwrites", Kind::OneOf(&["required", "assume-single-replica"]), "What happens when the store turns out at start to ignore the condition of a write, or to show old listings. With `required` the registry refuses to serve. With `assume-single-replica` it serves and keeps the conditions itself, which is safe only while exactly one process of it runs, at updates too.")
        .default("required")
        .example("assume-single-replica")
        .ours(),
    Key::new("storage.delete", Kind::Section, "Deletion through the API."),
    Key::new("storage.delete.enabled", Kind::Flag, "Allows clients to delete manifests, tags and blobs. distribution's default is false.")
        .default("true")
        .example("false"),
    Key::new("storage.redirect", Kind::Section, "Pulls that clients fetch from the store directly."),
    Key::new("storage.redirect.disable", Kind::Flag, "Sends every blob through the registry, even where the store could serve it by itself. The filesystem never can.")
        .default("false")
        .example("true"),
    Key::new("storage.redirect.ttl", duration(MINUTE, Duration::from_secs(7 * 24 * 3600)), "How long a redirected pull's URL is good for when it is new; one that is handed out has at least half of it left. All replicas hand out the same URL for half this time, so caches by URL work. URLs that are signed with temporary keys of S3 end with these keys, and differ from replica to replica; those that IAM signs for GCS end after 12 h.")
        .ours()
        .default("20m")
        .example("5m"),
    Key::new("storage.redirect.private_ttl", duration(MINUTE, Duration::from_secs(7 * 24 * 3600)), "The same for clients who had to say who they are, so that a URL that got into wrong hands is worth little. Never longer than `ttl`, or the `duration` of what stands in front of the store. With `auth: none` nobody has to.")
        .ours()
        .default("5m")
        .example("2m"),
    Key::new("storage.redirect.min_size", Kind::Size(0, u64::MAX), "Blobs smaller than this come through the registry, which saves the client a connection.")
        .ours()
        .default("0")
        .example("64KiB"),
    Key::new("storage.redirect.rules", Kind::Items, "Which pulls go where; the first rule that fits decides. Pulls that none fits go to the last middleware of `middleware.storage`, or to the store where there is none: a rule that leads to a middleware does not keep the others from it. End the rules with `{action: presign}` to send them to the store.")
        .ours()
        .example("[{action: proxy, networks: [10.0.0.0/8]}]"),
    Key::new("storage.redirect.rules[].action", Kind::Text, "`presign` sends the client to the store, `cdn:<name>` to the middleware of that name, `proxy` serves the blob through the registry, verified.")
        .ours()
        .required()
        .example("proxy"),
    Key::new("storage.redirect.rules[].endpoint", Kind::Text, "With `presign`: the address these clients reach the store at, instead of the store's `redirectendpoint`. A private endpoint for one network, the public one for the rest.")
        .ours()
        .example("https://bucket.vpce-1a2b3c4d.s3.eu-central-1.vpce.amazonaws.com"),
    Key::new("storage.redirect.rules[].networks", Kind::Texts, "Only clients in these networks. Behind a proxy, `http.trusted_proxies` has to name it.")
        .ours()
        .example("[10.0.0.0/8, fd00::/8]"),
    Key::new("storage.redirect.rules[].repositories", Kind::Texts, "Only these repositories; `*` stands for any text without a slash, `**` for any text.")
        .ours()
        .example("[team/*, public/**]"),
    Key::new("storage.redirect.rules[].user_agent", Kind::Text, "Only clients whose User-Agent holds something like this regular expression.")
        .ours()
        .example("^containerd/"),
    Key::new("storage.redirect.rules[].min_size", Kind::Size(0, u64::MAX), "Only blobs of this size or larger.")
        .ours()
        .example("1MiB"),
    Key::new("storage.redirect.rules[].max_size", Kind::Size(0, u64::MAX), "Only blobs of this size or smaller.")
        .ours()
        .example("1GiB"),
    Key::new("storage.cache", Kind::Section, "The cache of descriptors in front of the store."),
    Key::new("storage.cache.blobdescriptor", Kind::OneOf(&["inmemory", "redis"]), "Where descriptors are cached. `redis` arrives with the fleet milestone.")
        .default("inmemory")
        .example("inmemory"),
    Key::new("storage.cache.blobdescriptorsize", Kind::Count(0, 10_000_000), "So many descriptors have room in memory, also where they need more than `max_memory`. 0, in distribution without limit, means 1000000 here.")
        .default("10000")
        .example("20000"),
    Key::new("storage.cache.max_memory", Kind::Size(MIB, u64::MAX), "The most memory for what is cached, descriptors and small manifests alike. It fills as things are pulled, and stays.")
        .default("64MiB")
        .example("256MiB")
        .ours(),
    Key::new("storage.cache.layerinfo", Kind::OneOf(&["inmemory", "redis"]), "The old name of `storage.cache.blobdescriptor`.")
        .fate(Fate::Alias("storage.cache.blobdescriptor"))
        .example("inmemory"),
    Key::new("storage.tag", Kind::Section, "Looking up tags."),
    Key::new("storage.tag.concurrencylimit", Kind::Count(0, 10_000), "The most tags looked up at the same time when a manifest is deleted; 0 means 32.")
        .default("0")
        .example("8"),
    Key::new("storage.maintenance", Kind::Section, "Work in the background, and its opposite."),
    Key::new("storage.maintenance.uploadpurging", Kind::Section, "Removal of uploads that nobody finished."),
    Key::new("storage.maintenance.uploadpurging.enabled", Kind::Flag, "Removes unfinished uploads that are too old.")
        .default("true")
        .example("false"),
    Key::new("storage.maintenance.uploadpurging.age", duration(HOUR, YEAR), "How long an upload may rest before it is too old. An upload in parts that one request makes may last an hour longer than this, whether it rests or not.")
        .default("168h")
        .example("48h"),
    Key::new("storage.maintenance.uploadpurging.interval", duration(MINUTE, YEAR), "How often the registry looks for such uploads. One of its replicas does so for all.")
        .default("24h")
        .example("12h"),
    Key::new("storage.maintenance.uploadpurging.dryrun", Kind::Flag, "Only logs what would be removed: each replica does, and of all there is.")
        .default("false")
        .example("true"),
    Key::new("storage.maintenance.readonly", Kind::Section, "Read-only mode."),
    Key::new("storage.maintenance.readonly.enabled", Kind::Flag, "Refuses pushes and deletes with 405, and begins no purge of old uploads. Read again on SIGHUP.")
        .default("false")
        .example("true"),
    Key::new("storage.maintenance.readonly.repositories", Kind::Texts, "Refuses them in these repositories only, and in all whose names begin with one of these and a slash. Read again on SIGHUP.")
        .example("[team/legacy]")
        .ours(),
    Key::new("uploads", Kind::Section, "Upload sessions.").ours(),
    Key::new("uploads.max_memory", Kind::Size(64 * MIB, u64::MAX), "The most memory all uploads together may hold in buffers; beyond it clients are asked to retry (503).")
        .default("512MiB")
        .example("1GiB")
        .ours(),
    Key::new("uploads.part_size", Kind::Size(5 * MIB, 1024 * MIB), "The size of the parts in which an upload reaches the store. Without it, the store's `chunksize`: 16 MiB on S3 and GCS, 8 MiB on Azure, where nothing else is written; 1 MiB in a directory. Each running upload holds a few of them in memory.")
        .example("8MiB")
        .ours(),
    Key::new("uploads.min_chunk", Kind::Size(0, 1024 * MIB), "The smallest chunk that clients are asked for, in the header OCI-Chunk-Min-Length; 0 asks for nothing.")
        .default("0")
        .example("1MiB")
        .ours(),
    Key::new("uploads.replay_window", duration(SECOND, YEAR), "How long a finished upload is remembered at least, so that a repeated PUT is answered 201 again.")
        .default("15m")
        .example("30m")
        .ours(),
    Key::new("uploads.token_lifetime", duration(MINUTE, YEAR), "How long the Location of an upload is good for; every answer brings a fresh one. Without it 24h, or `storage.maintenance.uploadpurging.age` if that is shorter.")
        .example("6h")
        .ours(),
    Key::new("limits", Kind::Section, "How much a client may send.").ours(),
    Key::new("limits.max_blob_size", Kind::Size(0, u64::MAX), "The largest blob that is accepted (413 beyond it); 0 means no limit.")
        .default("0")
        .example("20GiB")
        .ours(),
    Key::new("limits.max_manifest_size", Kind::Size(4 * MIB, 256 * MIB), "The largest manifest that is accepted (413 beyond it).")
        .default("8MiB")
        .example("16MiB")
        .ours(),
    Key::new("limits.max_tags_per_push", Kind::Count(10, 1000), "The most tags that one push of a manifest may set (414 beyond it).")
        .default("100")
        .example("50")
        .ours(),
];
