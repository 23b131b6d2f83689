//! Access scopes: `repository:library/alpine:pull,push`, as challenges name them and tokens are asked for.
//!
//! The grammar is that of distribution's token specification. A class (`repository(plugin)`) is read and
//! printed but means nothing. Names are compared as they stand; a name with a host (`host:5000/a`) is a
//! different one than without. Unknown resource types and actions are kept: they grant nothing here.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::RepositoryName;
use crate::error::{ParseError, excerpt};

/// The longest accepted scope in bytes: a longest name with a host before it, and room for actions.
pub const MAX_SCOPE_BYTES: usize = 1024;

/// The most scopes read from one list. Pushes with mounts ask for two or three.
pub const MAX_SCOPES: usize = 64;

/// Something one may be allowed to do to a resource. The order is the one in which they are printed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Read.
    Pull,
    /// Write.
    Push,
    /// Remove.
    Delete,
    /// `*`: everything, for the catalog and for clients that will not choose.
    All,
    /// A word this registry has no use for. Not empty; lowercase letters, digits, `-`, `_`, `.`.
    Other(String),
}

/// The kind of thing a scope is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceType {
    /// A repository; the name is the repository's.
    Repository,
    /// The registry itself; the only name in use is `catalog`.
    Registry,
    /// A word this registry has no use for. Not empty; lowercase letters and digits.
    Other(String),
}

/// A resource, and what may be done to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    resource: ResourceType,
    class: Option<String>,
    name: String,
    actions: BTreeSet<Action>,
}

impl Scope {
    /// `repository:<name>:<actions>`
    pub fn repository(name: &RepositoryName, actions: impl IntoIterator<Item = Action>) -> Self {
        Self::new(ResourceType::Repository, name.as_str(), actions)
    }

    /// `registry:catalog:*`
    pub fn catalog() -> Self {
        Self::new(ResourceType::Registry, "catalog", [Action::All])
    }

    fn new(resource: ResourceType, name: &str, actions: impl IntoIterator<Item = Action>) -> Self {
        let actions = actions.into_iter().collect();
        Self { resource, class: None, name: name.to_owned(), actions }
    }

    /// What kind of thing it is about.
    pub const fn resource(&self) -> &ResourceType {
        &self.resource
    }

    /// The name of that thing.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The deprecated class, without meaning.
    pub fn class(&self) -> Option<&str> {
        self.class.as_deref()
    }

    /// What may be done, in printing order. May be empty.
    pub const fn actions(&self) -> &BTreeSet<Action> {
        &self.actions
    }

    /// Whether it is about the same thing as `other`, whatever may be done to it.
    pub fn same_resource(&self, other: &Scope) -> bool {
        self.resource == other.resource && self.name == other.name
    }

    /// Whether whoever holds this scope may do `action`. `All` covers every other action.
    pub fn allows(&self, action: &Action) -> bool {
        self.actions.contains(action) || self.actions.contains(&Action::All)
    }

    /// Whether whoever holds this scope may do everything that `wanted` names. A scope without actions
    /// wants nothing, and is covered by any scope of the same resource.
    pub fn covers(&self, wanted: &Scope) -> bool {
        self.same_resource(wanted) && wanted.actions.iter().all(|action| self.allows(action))
    }

    /// What both allow, if they are about the same thing: of what was asked for, what may be granted.
    pub fn intersect(&self, other: &Scope) -> Option<Scope> {
        if !self.same_resource(other) {
            return None;
        }
        let common = |one: &Scope, two: &Scope| -> BTreeSet<Action> {
            one.actions.iter().filter(|action| two.allows(action)).cloned().collect()
        };
        let mut actions = common(self, other);
        actions.extend(common(other, self));
        Some(Scope { actions, ..self.clone() })
    }

    /// Reads scopes separated by spaces, at most [`MAX_SCOPES`]. A malformed one fails the whole list.
    pub fn parse_list(text: &str) -> Result<Vec<Scope>, ParseError> {
        let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).take(MAX_SCOPES + 1).collect();
        if words.len() > MAX_SCOPES {
            return Err(refuse(text, "more than 64 scopes"));
        }
        words.into_iter().map(str::parse).collect()
    }
}

impl FromStr for Scope {
    type Err = ParseError;

    /// The first colon ends the type, the last one the name, which may itself contain one (a port).
    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() > MAX_SCOPE_BYTES {
            return Err(refuse(text, "longer than 1024 bytes"));
        }
        let (resource, rest) = text.split_once(':').ok_or_else(|| refuse(text, EXPECTED))?;
        let (name, actions) = rest.rsplit_once(':').ok_or_else(|| refuse(text, EXPECTED))?;
        let (resource, class) = typed(resource).map_err(|reason| refuse(text, reason))?;
        check_name(name).map_err(|reason| refuse(text, reason))?;
        let words = actions.split(',').filter(|word| !word.is_empty());
        let actions = words.map(action).collect::<Result<_, _>>().map_err(|reason| refuse(text, reason))?;
        Ok(Self { resource, class, name: name.to_owned(), actions })
    }
}

const EXPECTED: &str = "expected <type>:<name>:<actions>";

fn refuse(text: &str, reason: &'static str) -> ParseError {
    ParseError::Scope { value: excerpt(text), reason }
}

fn typed(text: &str) -> Result<(ResourceType, Option<String>), &'static str> {
    let (kind, class) = match text.split_once('(') {
        Some((kind, rest)) => (kind, Some(rest.strip_suffix(')').ok_or("the class is not closed by ')'")?)),
        None => (text, None),
    };
    let word = |part: &str| !part.is_empty() && part.bytes().all(|byte| LOWER_OR_DIGIT(&byte));
    if !word(kind) || class.is_some_and(|class| !word(class)) {
        return Err("a type is lowercase letters and digits");
    }
    let resource = match kind {
        "repository" => ResourceType::Repository,
        "registry" => ResourceType::Registry,
        other => ResourceType::Other(other.to_owned()),
    };
    Ok((resource, class.map(str::to_owned)))
}

const LOWER_OR_DIGIT: fn(&u8) -> bool = |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit();

/// `[host[:port]/]component[/component]...`, hosts being the reason for upper case and the colon.
fn check_name(name: &str) -> Result<(), &'static str> {
    let host = match name.split_once(':') {
        Some((host, rest)) => {
            let (port, path) = rest.split_once('/').ok_or("a port is followed by '/' and a name")?;
            if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err("a port is a decimal number");
            }
            check_path(path)?;
            host
        }
        None => name,
    };
    check_path(host)
}

fn check_path(path: &str) -> Result<(), &'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let component = |part: &str| !part.is_empty() && part.bytes().all(allowed);
    if path.split('/').all(component) { Ok(()) } else { Err("not the name of a resource") }
}

fn action(word: &str) -> Result<Action, &'static str> {
    match word {
        "pull" => Ok(Action::Pull),
        "push" => Ok(Action::Push),
        "delete" => Ok(Action::Delete),
        "*" => Ok(Action::All),
        other if other.bytes().all(|byte| LOWER_OR_DIGIT(&byte) || matches!(byte, b'-' | b'_' | b'.')) => {
            Ok(Action::Other(other.to_owned()))
        }
        _ => Err("an action is a lowercase word or '*'"),
    }
}

impl Action {
    /// The word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Action::Pull => "pull",
            Action::Push => "push",
            Action::Delete => "delete",
            Action::All => "*",
            Action::Other(word) => word,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ResourceType {
    /// The word for it.
    pub fn as_str(&self) -> &str {
        match self {
            ResourceType::Repository => "repository",
            ResourceType::Registry => "registry",
            ResourceType::Other(word) => word,
        }
    }
}

impl fmt::Display for ResourceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.resource.as_str())?;
        if let Some(class) = &self.class {
            write!(f, "({class})")?;
        }
        write!(f, ":{}:", self.name)?;
        for (index, action) in self.actions.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{action}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    #[test]
    fn actions_are_printed_in_one_order_whatever_order_they_came_in() {
        let read = scope("repository:library/alpine:delete,push,zap,pull,*,pull");
        assert_eq!(read.to_string(), "repository:library/alpine:pull,push,delete,*,zap");
        assert_eq!(scope(&read.to_string()), read);
    }

    #[test]
    fn a_name_may_have_a_port_and_a_type_a_class() {
        let port = scope("repository:host:5000/a/b:pull");
        let class = scope("repository(plugin):a/b:pull");

        assert_eq!(port.name(), "host:5000/a/b");
        assert_eq!(port.to_string(), "repository:host:5000/a/b:pull");
        assert_eq!((class.resource(), class.class()), (&ResourceType::Repository, Some("plugin")));
        assert_eq!(class.to_string(), "repository(plugin):a/b:pull");
        assert!(class.covers(&scope("repository:a/b:pull")));
        assert!(!port.covers(&scope("repository:a/b:pull")));
    }

    #[test]
    fn the_constructors_say_what_challenges_say() {
        let name = "a/b".parse().unwrap();
        assert_eq!(
            Scope::repository(&name, [Action::Push, Action::Pull]).to_string(),
            "repository:a/b:pull,push"
        );
        assert_eq!(Scope::catalog().to_string(), "registry:catalog:*");
        assert_eq!(scope("registry:catalog:*"), Scope::catalog());
    }

    #[test]
    fn a_scope_covers_what_it_names_and_a_star_everything() {
        let push = scope("repository:a:pull,push");

        assert!(push.covers(&scope("repository:a:pull")));
        assert!(push.covers(&scope("repository:a:")));
        assert!(!push.covers(&scope("repository:a:delete")));
        assert!(!push.covers(&scope("repository:a:*")));
        assert!(!push.covers(&scope("repository:b:pull")));
        assert!(!push.covers(&scope("registry:a:pull")));
        assert!(scope("repository:a:*").covers(&scope("repository:a:pull,delete,*")));
        assert!(!scope("repository:a:").covers(&scope("repository:a:pull")));
    }

    #[test]
    fn an_intersection_grants_no_more_than_either() {
        let granted = |one: &str, two: &str| scope(one).intersect(&scope(two)).map(|it| it.to_string());

        assert_eq!(
            granted("repository:a:pull,push", "repository:a:pull,delete").unwrap(),
            "repository:a:pull"
        );
        assert_eq!(granted("repository:a:*", "repository:a:pull,push").unwrap(), "repository:a:pull,push");
        assert_eq!(granted("repository:a:pull", "repository:a:*").unwrap(), "repository:a:pull");
        assert_eq!(granted("repository:a:pull", "repository:a:push").unwrap(), "repository:a:");
        assert_eq!(granted("repository:a:pull", "repository:b:pull"), None);
    }

    #[test]
    fn lists_are_separated_by_spaces() {
        let list = Scope::parse_list(" repository:a:pull  repository:b:pull,push ").unwrap();
        assert_eq!(list, [scope("repository:a:pull"), scope("repository:b:pull,push")]);
        assert!(Scope::parse_list("").unwrap().is_empty());
        assert!(Scope::parse_list("repository:a:pull nonsense").is_err());
        assert!(Scope::parse_list(&"repository:a:pull ".repeat(MAX_SCOPES)).is_ok());
        assert!(Scope::parse_list(&"repository:a:pull ".repeat(MAX_SCOPES + 1)).is_err());
    }

    #[test]
    fn what_is_no_scope_is_refused() {
        for text in [
            "",
            "repository",
            "repository:a",
            ":a:pull",
            "repository::pull",
            "Repository:a:pull",
            "repository(:a:pull",
            "repository():a:pull",
            "repository(a)b:a:pull",
            "repository:a:Pull",
            "repository:a:pu ll",
            "repository:a:pull\n",
            "repository:a//b:pull",
            "repository:/a:pull",
            "repository:h:5000:pull",
            "repository:h:x/a:pull",
            "repository:h:1/b:2/c:pull",
            "repository:é:pull",
            "repository:a:**",
            &format!("repository:{}:pull", "a".repeat(MAX_SCOPE_BYTES)),
        ] {
            assert!(text.parse::<Scope>().is_err(), "{text:?}");
        }
    }
}
