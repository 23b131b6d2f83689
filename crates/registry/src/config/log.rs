//! What is logged, and how.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `log` as it was written, defaults filled in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    level: Level,
    formatter: Formatter,
    #[serde(default)]
    fields: BTreeMap<String, String>,
    accesslog: AccessLog,
    reportcaller: bool,
}

/// What is logged, and how.
#[derive(Debug, Clone, Serialize)]
pub struct Log {
    /// The least important level that is still logged. Default: info.
    pub level: Level,
    /// The encoding of a line. Default: text.
    pub formatter: Formatter,
    /// Fixed fields of every line, by name.
    pub fields: BTreeMap<String, String>,
    /// The log of requests.
    pub accesslog: AccessLog,
    /// Whether lines carry source file and line. Default: false.
    pub reportcaller: bool,
}

/// The log of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessLog {
    /// Whether requests are not logged. Default: false.
    pub disabled: bool,
}

/// How important a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Something failed.
    Error,
    /// Something will fail, or was survived.
    Warn,
    /// Something happened.
    Info,
    /// Everything.
    Debug,
}

/// How a line is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Formatter {
    /// For people.
    Text,
    /// One JSON object in each line.
    Json,
    /// JSON with the field names of Logstash (`@timestamp`, `@version`, `message`).
    Logstash,
}

impl Written {
    pub(super) fn settle(self) -> Log {
        let Written { level, formatter, fields, accesslog, reportcaller } = self;
        Log { level, formatter, fields, accesslog, reportcaller }
    }
}
