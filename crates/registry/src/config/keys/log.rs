//! Rows of the file itself and of `log`.

use super::{Fate, Key, Kind};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "version",
        Kind::OneOf(&["0.1"]),
        "The version of the configuration format. Required in a file.",
    )
    .example("0.1"),
    Key::new("log", Kind::Section, "What is logged, and how."),
    Key::new(
        "log.level",
        Kind::OneOf(&["error", "warn", "info", "debug"]),
        "The least important messages that are still logged.",
    )
    .default("info")
    .example("debug"),
    Key::new("log.formatter", Kind::OneOf(&["text", "json", "logstash"]), "How a log line is encoded.")
        .default("text")
        .example("json"),
    Key::new(
        "log.fields",
        Kind::Fields,
        "Fixed fields added to every log line, for instance the name of the environment.",
    )
    .example("{service: registry}"),
    Key::new("log.accesslog", Kind::Section, "The log of requests."),
    Key::new("log.accesslog.disabled", Kind::Flag, "Turns the log of requests off.")
        .default("false")
        .example("true"),
    Key::new("log.reportcaller", Kind::Flag, "Adds the source file and line to every log line.")
        .default("false")
        .example("true"),
    Key::new("log.hooks", Kind::Items, "Mail sent for log messages.")
        .fate(Fate::Ignored(
            "mail for log messages is not sent; alert on the metrics or on the collected logs instead",
        ))
        .example("[{type: mail, levels: [panic]}]"),
    Key::new("log.hooks[].disabled", Kind::Flag, "Turns the hook off.").example("true"),
    Key::new("log.hooks[].type", Kind::Text, "The kind of hook; distribution knows `mail`.").example("mail"),
    Key::new("log.hooks[].levels", Kind::Texts, "The levels that call the hook.").example("[panic]"),
    Key::new("log.hooks[].options", Kind::Section, "Where and how mail is sent.").variable("MAILOPTIONS"),
    Key::new("log.hooks[].options.smtp", Kind::Section, "The mail server."),
    Key::new("log.hooks[].options.smtp.addr", Kind::Text, "Host and port of the mail server.")
        .example("mail.example.com:25"),
    Key::new("log.hooks[].options.smtp.username", Kind::Text, "The user at the mail server.")
        .example("mailuser"),
    Key::new("log.hooks[].options.smtp.password", Kind::Secret, "The password at the mail server.")
        .example("password"),
    Key::new(
        "log.hooks[].options.smtp.insecure",
        Kind::Flag,
        "Skips the check of the mail server's certificate.",
    )
    .example("true"),
    Key::new("log.hooks[].options.from", Kind::Text, "The sender of the mail.").example("sender@example.com"),
    Key::new("log.hooks[].options.to", Kind::Texts, "The receivers of the mail.")
        .example("[errors@example.com]"),
    Key::new("loglevel", Kind::OneOf(&["error", "warn", "info", "debug"]), "The old name of `log.level`.")
        .fate(Fate::Alias("log.level"))
        .example("debug"),
];
