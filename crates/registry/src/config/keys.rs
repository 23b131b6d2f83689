//! The one table of configuration keys: ours, distribution's, and what becomes of each.
//!
//! Everything else only reads it: the check for unknown keys and values, the defaults, `config
//! explain`, `config schema`, the names of environment variables and the golden list of
//! distribution's keys. A key exists if and only if it has a row here. Rows stand in the order in
//! which they should be read; a section stands before its keys.

mod access;
mod cloud;
mod content;
mod health;
mod http;
mod later;
mod log;
mod storage;

use std::time::Duration;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The full path, such as `http.tls.key`; `[]` marks the items of a list.
    pub path: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// What holds when it is not written.
    pub absent: Absent,
    /// A value to show and to test with, as YAML.
    pub example: &'static str,
    /// What the key does, in one or two sentences.
    pub about: &'static str,
    /// Who introduced it.
    pub origin: KeyOrigin,
    /// What becomes of it when it is written.
    pub fate: Fate,
    /// Another name for this level in environment variables (distribution derives them from Go
    /// field names, which differ from the YAML names in a few places).
    pub variable: Option<&'static str>,
}

/// What a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A section whose keys have their defaults even when it is not written.
    Section,
    /// A section that means something by being written.
    Optional,
    /// A section that holds at most one of its [`Kind::Optional`] sections; its bare name may stand
    /// for the section.
    Choice,
    /// A list of sections.
    Items,
    /// `true` or `false`.
    Flag,
    /// A whole number within these bounds.
    Count(u64, u64),
    /// Any text.
    Text,
    /// A text that is never printed.
    Secret,
    /// One text or a list of texts, none of which is ever printed.
    Secrets,
    /// A file or directory.
    Path,
    /// A file whose content takes the place of the named secret key.
    SecretFile(&'static str),
    /// A Go duration within these bounds.
    Duration(Duration, Duration),
    /// An amount of bytes within these bounds.
    Size(u64, u64),
    /// One of these words; case does not matter.
    OneOf(&'static [&'static str]),
    /// A list of texts; a single text is a list of one.
    Texts,
    /// HTTP header names, each with one value or a list of values.
    Headers,
    /// Names, each with one text.
    Fields,
    /// Whatever distribution takes here; never read.
    Anything,
}

/// What holds when a key is not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// Nothing: the key is optional and has no default.
    Nothing,
    /// This value, as it would be written.
    Default(&'static str),
    /// An error, if the section around it is written.
    Required,
}

/// Who introduced a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyOrigin {
    /// CNCF distribution 3.
    Distribution,
    /// distribution 2, gone in 3; people still bring such files.
    DistributionTwo,
    /// Entrepot.
    Entrepot,
}

/// What becomes of a key that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It does what it says.
    Works,
    /// It is read as the key of this path.
    Alias(&'static str),
    /// It is accepted, does nothing, and a warning says this.
    Ignored(&'static str),
    /// The start fails, naming the milestone that brings it and what to do until then.
    NotYet(Milestone, &'static str),
    /// The start fails, saying what to write instead.
    Refused(&'static str),
}

/// The steps on which what is not there yet will arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Milestone {
    /// S3, Azure Blob, Google Cloud Storage and redirected pulls.
    ObjectStorage,
    /// Many replicas and Redis.
    Fleet,
    /// htpasswd, tokens and policies.
    Authentication,
    /// Events and traces.
    Observability,
    /// Pull-through caching.
    Proxy,
}

impl std::fmt::Display for Milestone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Milestone::ObjectStorage => "object storage",
            Milestone::Fleet => "fleet",
            Milestone::Authentication => "authentication",
            Milestone::Observability => "observability",
            Milestone::Proxy => "proxy",
        })
    }
}

const TABLES: [&[Key]; 8] = [
    log::KEYS,
    storage::KEYS,
    cloud::KEYS,
    access::KEYS,
    http::KEYS,
    content::KEYS,
    health::KEYS,
    later::KEYS,
];

/// Every key there is, in reading order.
pub fn all() -> impl Iterator<Item = &'static Key> {
    TABLES.into_iter().flatten()
}

/// The row of `path`, if there is one; list indices may be written as `[]`, `[0]` or not at all.
pub fn find(path: &str) -> Option<&'static Key> {
    let wanted = generic(path);
    all().find(|key| generic(key.path) == wanted)
}

/// `path` without list markers.
fn generic(path: &str) -> String {
    path.split('.').map(|part| part.split('[').next().unwrap_or(part)).collect::<Vec<_>>().join(".")
}

impl Key {
    const fn new(path: &'static str, kind: Kind, about: &'static str) -> Self {
        Self {
            path,
            kind,
            absent: Absent::Nothing,
            example: "",
            about,
            origin: KeyOrigin::Distribution,
            fate: Fate::Works,
            variable: None,
        }
    }

    const fn default(self, value: &'static str) -> Self {
        Self { absent: Absent::Default(value), ..self }
    }

    const fn required(self) -> Self {
        Self { absent: Absent::Required, ..self }
    }

    const fn example(self, value: &'static str) -> Self {
        Self { example: value, ..self }
    }

    const fn ours(self) -> Self {
        Self { origin: KeyOrigin::Entrepot, ..self }
    }

    const fn dropped(self) -> Self {
        Self { origin: KeyOrigin::DistributionTwo, ..self }
    }

    const fn fate(self, fate: Fate) -> Self {
        Self { fate, ..self }
    }

    const fn variable(self, name: &'static str) -> Self {
        Self { variable: Some(name), ..self }
    }

    /// The path in its parts, without list markers.
    pub fn parts(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('.').map(|part| part.trim_end_matches("[]"))
    }

    /// The last part of the path.
    pub fn name(&self) -> &'static str {
        self.parts().last().unwrap_or(self.path)
    }

    /// The key above this one, if any.
    pub fn parent(&self) -> Option<&'static Key> {
        self.path.rsplit_once('.').and_then(|(parent, _)| find(parent))
    }

    /// What becomes of this key, and which key decides it: a section that does not work takes all
    /// its keys along.
    pub fn outcome(&self) -> (Fate, &'static str) {
        match self.parent().map(Key::outcome) {
            Some((fate, path)) if fate != Fate::Works => (fate, path),
            _ => (self.fate, self.path),
        }
    }

    /// The environment variable that overrides this key; `<...>` stands for what the reader fills in.
    pub fn environment_variable(&self) -> String {
        let mut name = String::from("REGISTRY");
        for part in self.path.split('.') {
            let bare = part.trim_end_matches("[]");
            name.push('_');
            name.push_str(&bare.to_uppercase());
            if bare.len() != part.len() {
                name.push_str("_<index>");
            }
        }
        match self.kind {
            Kind::Headers | Kind::Fields => name.push_str("_<name>"),
            _ => {}
        }
        name
    }
}

impl Kind {
    /// Whether keys may stand below.
    pub fn is_section(self) -> bool {
        matches!(self, Kind::Section | Kind::Optional | Kind::Choice | Kind::Items)
    }

    /// The kind in words, with unit and bounds.
    pub fn in_words(self) -> String {
        match self {
            Kind::Section | Kind::Optional => "a section".to_owned(),
            Kind::Choice => "a section, or the bare name of one of its members".to_owned(),
            Kind::Items => "a list of sections".to_owned(),
            Kind::Flag => "true or false".to_owned(),
            Kind::Count(min, u64::MAX) => format!("a whole number of at least {min}"),
            Kind::Count(min, max) => format!("a whole number from {min} to {max}"),
            Kind::Text => "text".to_owned(),
            Kind::Secret => "text, never printed".to_owned(),
            Kind::Secrets => "one text or a list of texts, never printed".to_owned(),
            Kind::Path | Kind::SecretFile(_) => "a path".to_owned(),
            Kind::Duration(min, max) => format!(
                "a duration such as 90s or 1h30m, from {} to {}",
                super::duration::format(min),
                super::duration::format(max)
            ),
            Kind::Size(min, u64::MAX) => {
                format!("bytes, as a number or such as 16MiB, at least {}", super::size::format(min))
            }
            Kind::Size(min, max) => format!(
                "bytes, as a number or such as 16MiB, from {} to {}",
                super::size::format(min),
                super::size::format(max)
            ),
            Kind::OneOf(words) => format!("one of {}", words.join(", ")),
            Kind::Texts => "a list of texts".to_owned(),
            Kind::Headers => "header names, each with a list of values".to_owned(),
            Kind::Fields => "names, each with a text".to_owned(),
            Kind::Anything => "anything".to_owned(),
        }
    }
}

/// Shorthands for the tables.
const SECOND: Duration = Duration::from_secs(1);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

const fn duration(min: Duration, max: Duration) -> Kind {
    Kind::Duration(min, max)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_path_is_listed_once_and_below_a_listed_section() {
        let mut seen = HashSet::new();

        for key in all() {
            assert!(seen.insert(generic(key.path)), "{} twice", key.path);
            if let Some((parent, _)) = key.path.rsplit_once('.') {
                let row = find(parent).unwrap_or_else(|| panic!("{} has no row for {parent}", key.path));
                assert!(row.kind.is_section(), "{parent} is no section");
                assert_eq!(row.kind == Kind::Items, parent.ends_with("[]"), "{}: list marker", key.path);
            }
        }
    }

    #[test]
    fn every_key_tells_what_it_does_and_leaves_have_an_example() {
        for key in all() {
            assert!(key.about.ends_with('.') && key.about.len() > 6, "{}: {}", key.path, key.about);
            if !key.kind.is_section() {
                assert!(!key.example.is_empty(), "{} has no example", key.path);
            }
        }
    }

    #[test]
    fn aliases_point_at_keys_that_work() {
        for key in all() {
            if let Fate::Alias(target) = key.fate {
                let target = find(target).expect("the alias has a target");
                assert_eq!(target.outcome().0, Fate::Works, "{}", key.path);
            }
        }
    }

    #[test]
    fn a_section_that_does_not_work_decides_for_its_keys() {
        let key = find("redis.addrs").expect("listed");

        assert!(matches!(key.outcome(), (Fate::NotYet(Milestone::Fleet, _), "redis")));
    }

    #[test]
    fn variables_follow_the_path() {
        let name = |path| find(path).expect("listed").environment_variable();

        assert_eq!(name("http.tls.clientcas"), "REGISTRY_HTTP_TLS_CLIENTCAS");
        assert_eq!(name("health.http[].uri"), "REGISTRY_HEALTH_HTTP_<index>_URI");
        assert_eq!(name("log.fields"), "REGISTRY_LOG_FIELDS_<name>");
    }
}
