//! Rows of whole sections that are not there yet, or are gone: `notifications`, `redis`, `proxy` and
//! what distribution 2 had.

use std::time::Duration;

use super::{Fate, Key, Kind, Milestone, YEAR, duration};

const DURATION: Kind = duration(Duration::ZERO, YEAR);

pub(super) const KEYS: &[Key] = &[
    Key::new("notifications", Kind::Section, "Webhooks for what happens in the registry.")
        .fate(Fate::NotYet(Milestone::Observability, "until then remove it"))
        .example("{endpoints: [{name: alistener, url: 'https://my.listener.com/event'}]}"),
    Key::new("notifications.events", Kind::Section, "What events contain.").variable("EVENTCONFIG"),
    Key::new("notifications.events.includereferences", Kind::Flag, "Adds the references of a manifest to its event.").example("true"),
    Key::new("notifications.endpoints", Kind::Items, "Who is told."),
    Key::new("notifications.endpoints[].name", Kind::Text, "A name for people.").example("alistener"),
    Key::new("notifications.endpoints[].disabled", Kind::Flag, "Tells this endpoint nothing.").example("true"),
    Key::new("notifications.endpoints[].url", Kind::Text, "Where events are posted.").example("https://my.listener.com/event"),
    Key::new("notifications.endpoints[].headers", Kind::Headers, "Headers sent along.").example("{Authorization: [Bearer token]}"),
    Key::new("notifications.endpoints[].timeout", DURATION, "How long a delivery may take.").example("1s"),
    Key::new("notifications.endpoints[].threshold", Kind::Count(0, u64::MAX), "How many failures start the pause.").example("10"),
    Key::new("notifications.endpoints[].backoff", DURATION, "How long the pause is.").example("1s"),
    Key::new("notifications.endpoints[].ignoredmediatypes", Kind::Texts, "Media types this endpoint is not told about.").example("[application/octet-stream]"),
    Key::new("notifications.endpoints[].ignore", Kind::Section, "Events this endpoint is not told about."),
    Key::new("notifications.endpoints[].ignore.mediatypes", Kind::Texts, "By media type.").example("[application/octet-stream]"),
    Key::new("notifications.endpoints[].ignore.actions", Kind::Texts, "By action.").example("[pull]"),
    Key::new("redis", Kind::Section, "A Redis shared by the replicas, as a cache.")
        .fate(Fate::NotYet(Milestone::Fleet, "until then remove it and write `storage.cache.blobdescriptor: inmemory`"))
        .example("{addrs: ['localhost:6379']}"),
    Key::new("redis.tls", Kind::Section, "TLS towards Redis."),
    Key::new("redis.tls.enabled", Kind::Flag, "Shown in the reference of distribution, read by nobody.").example("false"),
    Key::new("redis.tls.certificate", Kind::Path, "The client certificate.").example("/path/to/cert.crt"),
    Key::new("redis.tls.key", Kind::Path, "The key of the client certificate.").example("/path/to/key.pem"),
    Key::new("redis.tls.rootcas", Kind::Texts, "The authorities of the server certificate.").example("[/path/to/ca.pem]"),
    Key::new("redis.addr", Kind::Text, "The only server, in distribution 2.").dropped().example("localhost:6379"),
    Key::new("redis.pool", Kind::Section, "The pool, in distribution 2.").dropped(),
    Key::new("redis.pool.maxidle", Kind::Count(0, u64::MAX), "Idle connections.").dropped().example("16"),
    Key::new("redis.pool.maxactive", Kind::Count(0, u64::MAX), "Open connections.").dropped().example("64"),
    Key::new("redis.pool.idletimeout", DURATION, "How long a connection may be idle.").dropped().example("300s"),
    Key::new("redis.addrs", Kind::Texts, "Servers, sentinels or nodes of the cluster.").example("[localhost:6379]"),
    Key::new("redis.clientname", Kind::Text, "The name this client takes.").example("registry"),
    Key::new("redis.db", Kind::Count(0, u64::MAX), "The number of the database.").example("0"),
    Key::new("redis.protocol", Kind::Count(0, u64::MAX), "The protocol version.").example("3"),
    Key::new("redis.username", Kind::Text, "The user.").example("registry"),
    Key::new("redis.password", Kind::Secret, "The password.").example("asecret"),
    Key::new("redis.sentinelusername", Kind::Text, "The user at the sentinels.").example("registry"),
    Key::new("redis.sentinelpassword", Kind::Secret, "The password at the sentinels.").example("asecret"),
    Key::new("redis.maxretries", Kind::Count(0, u64::MAX), "How often a command is repeated.").example("3"),
    Key::new("redis.minretrybackoff", DURATION, "The shortest pause before that.").example("8ms"),
    Key::new("redis.maxretrybackoff", DURATION, "The longest pause before that.").example("512ms"),
    Key::new("redis.dialtimeout", DURATION, "How long connecting may take.").example("10ms"),
    Key::new("redis.readtimeout", DURATION, "How long an answer may take.").example("10ms"),
    Key::new("redis.writetimeout", DURATION, "How long sending may take.").example("10ms"),
    Key::new("redis.contexttimeoutenabled", Kind::Flag, "Also minds the deadline of the request.").example("true"),
    Key::new("redis.poolfifo", Kind::Flag, "Uses idle connections in turn.").example("true"),
    Key::new("redis.poolsize", Kind::Count(0, u64::MAX), "The most connections.").example("64"),
    Key::new("redis.pooltimeout", DURATION, "How long to wait for a free connection.").example("1s"),
    Key::new("redis.minidleconns", Kind::Count(0, u64::MAX), "Idle connections kept at least.").example("4"),
    Key::new("redis.maxidleconns", Kind::Count(0, u64::MAX), "Idle connections kept at most.").example("16"),
    Key::new("redis.maxactiveconns", Kind::Count(0, u64::MAX), "Open connections at most.").example("64"),
    Key::new("redis.connmaxidletime", DURATION, "How long a connection may be idle.").example("300s"),
    Key::new("redis.connmaxlifetime", DURATION, "How long a connection may live.").example("1h"),
    Key::new("redis.maxredirects", Kind::Count(0, u64::MAX), "Redirects followed in a cluster.").example("3"),
    Key::new("redis.readonly", Kind::Flag, "Reads from replicas.").example("true"),
    Key::new("redis.routebylatency", Kind::Flag, "Prefers the nearest node.").example("true"),
    Key::new("redis.routerandomly", Kind::Flag, "Takes any node.").example("true"),
    Key::new("redis.mastername", Kind::Text, "The master's name at the sentinels.").example("mymaster"),
    Key::new("redis.disableidentity", Kind::Flag, "Does not introduce the client library.").example("true"),
    Key::new("redis.identitysuffix", Kind::Text, "Added to the name of the client library.").example("registry"),
    Key::new("redis.unstableresp3", Kind::Flag, "Unfinished parts of the protocol.").example("true"),
    Key::new("proxy", Kind::Section, "Makes the registry a pull-through cache.")
        .fate(Fate::NotYet(Milestone::Proxy, "until then remove it"))
        .example("{remoteurl: 'https://registry-1.docker.io'}"),
    Key::new("proxy.remoteurl", Kind::Text, "The registry behind the cache.").example("https://registry-1.docker.io"),
    Key::new("proxy.username", Kind::Text, "The user there.").example("username"),
    Key::new("proxy.password", Kind::Secret, "The password there.").example("password"),
    Key::new("proxy.exec", Kind::Section, "A program that yields the credentials."),
    Key::new("proxy.exec.command", Kind::Text, "The program.").example("docker-credential-helper"),
    Key::new("proxy.exec.lifetime", DURATION, "How long its answer is good for.").example("1h"),
    Key::new("proxy.ttl", DURATION, "How long content is kept.").example("168h"),
    Key::new("proxy.cachewritetimeout", DURATION, "How long storing content may take.").example("5m"),
    Key::new("compatibility", Kind::Section, "Docker schema 1, in distribution 2.")
        .dropped()
        .fate(Fate::Refused("manifests of Docker schema 1 are not served, as in distribution 3; remove it"))
        .example("{schema1: {enabled: true}}"),
    Key::new("compatibility.schema1", Kind::Section, "Docker schema 1.").dropped(),
    Key::new("compatibility.schema1.trustkey", Kind::Path, "The key that signs such manifests.").dropped().example("/path/to/key"),
    Key::new("compatibility.schema1.enabled", Kind::Flag, "Accepts such manifests.").dropped().example("true"),
    Key::new("reporting", Kind::Section, "Error reporting services, in distribution 2.")
        .dropped()
        .fate(Fate::Refused("distribution 3 dropped error reporting services too; collect the logs and metrics, and remove it"))
        .example("{bugsnag: {apikey: key}}"),
    Key::new("reporting.bugsnag", Kind::Anything, "Bugsnag.").dropped().example("{apikey: key}"),
    Key::new("reporting.newrelic", Kind::Anything, "New Relic.").dropped().example("{licensekey: key}"),
];
