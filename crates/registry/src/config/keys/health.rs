//! Rows of `health`.

use std::time::Duration;

use super::{Key, Kind, SECOND, duration};

const DAY: Duration = Duration::from_secs(24 * 3600);
const INTERVAL: Kind = duration(SECOND, DAY);
const TIMEOUT: Kind = duration(Duration::from_millis(1), DAY);
const THRESHOLD: Kind = Kind::Count(0, 1_000_000);

pub(super) const KEYS: &[Key] = &[
    Key::new("health", Kind::Section, "What must be true for the registry to call itself healthy."),
    Key::new("health.storagedriver", Kind::Section, "A periodic look at the store."),
    Key::new("health.storagedriver.enabled", Kind::Flag, "Turns the look on.")
        .default("false")
        .example("true"),
    Key::new("health.storagedriver.interval", INTERVAL, "The pause between two looks.")
        .default("10s")
        .example("30s"),
    Key::new(
        "health.storagedriver.threshold",
        THRESHOLD,
        "How many failures in a row make it unhealthy; 0 counts as 1.",
    )
    .default("1")
    .example("3"),
    Key::new(
        "health.file",
        Kind::Items,
        "Files that make the registry unhealthy by existing, to take it out of rotation.",
    )
    .variable("FILECHECKERS"),
    Key::new("health.file[].file", Kind::Path, "The file.").required().example("/path/to/checked/file"),
    Key::new("health.file[].interval", INTERVAL, "The pause between two looks.")
        .default("10s")
        .example("30s"),
    Key::new(
        "health.file[].threshold",
        THRESHOLD,
        "How many sightings in a row make it unhealthy; 0 counts as 1.",
    )
    .default("1")
    .example("3"),
    Key::new("health.http", Kind::Items, "URIs that must answer a HEAD request.").variable("HTTPCHECKERS"),
    Key::new("health.http[].uri", Kind::Text, "The URI.")
        .required()
        .example("http://server.to.check/must/return/200"),
    Key::new("health.http[].headers", Kind::Headers, "Headers sent along.")
        .example("{Authorization: [Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==]}"),
    Key::new("health.http[].statuscode", Kind::Count(100, 599), "The status that is expected.")
        .default("200")
        .example("204"),
    Key::new("health.http[].timeout", TIMEOUT, "How long the answer may take.").default("5s").example("3s"),
    Key::new("health.http[].interval", INTERVAL, "The pause between two requests.")
        .default("10s")
        .example("30s"),
    Key::new(
        "health.http[].threshold",
        THRESHOLD,
        "How many failures in a row make it unhealthy; 0 counts as 1.",
    )
    .default("1")
    .example("3"),
    Key::new("health.tcp", Kind::Items, "Addresses that must accept a connection.").variable("TCPCHECKERS"),
    Key::new("health.tcp[].addr", Kind::Text, "HOST:PORT of the server.")
        .required()
        .example("redis-server.domain.com:6379"),
    Key::new("health.tcp[].timeout", TIMEOUT, "How long the connection may take.")
        .default("5s")
        .example("3s"),
    Key::new("health.tcp[].interval", INTERVAL, "The pause between two attempts.")
        .default("10s")
        .example("30s"),
    Key::new(
        "health.tcp[].threshold",
        THRESHOLD,
        "How many failures in a row make it unhealthy; 0 counts as 1.",
    )
    .default("1")
    .example("3"),
];
