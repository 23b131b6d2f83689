//! Walking the tree: fields with a path, so that every refusal says where (`layers[3].digest`).
//!
//! A field that is `null` counts as absent: Go programs write their empty lists and maps that way.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::json::Value;
use super::{Platform, Referenced, Role, platform};
use crate::error::excerpt;
use crate::{Descriptor, Digest, MediaType};

/// The place of a value in the document; a list on the stack, printed only in messages.
#[derive(Clone, Copy)]
pub(super) struct Path<'p> {
    parent: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Key(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    pub(super) const ROOT: Path<'static> = Path { parent: None, step: Step::Root };

    pub(super) const fn key(parent: &'p Path<'p>, name: &'p str) -> Self {
        Self { parent: Some(parent), step: Step::Key(name) }
    }

    pub(super) const fn index(parent: &'p Path<'p>, position: usize) -> Self {
        Self { parent: Some(parent), step: Step::Index(position) }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
        }
        let first = self.parent.is_none_or(|parent| parent.parent.is_none());
        match self.step {
            Step::Root => Ok(()),
            Step::Key(name) if first => write_name(f, name),
            Step::Key(name) => f.write_str(".").and_then(|()| write_name(f, name)),
            Step::Index(position) => write!(f, "[{position}]"),
        }
    }
}

/// Writes a name as it is if it is plain, else quoted and escaped: messages end in logs.
fn write_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    let plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    let name = excerpt(name);
    if plain { f.write_str(&name) } else { write!(f, "{name:?}") }
}

/// Refuses the document because of what stands at `path`.
pub(super) fn refuse<T>(path: &Path<'_>, reason: impl fmt::Display) -> Result<T, String> {
    Err(match path.parent {
        Some(_) => format!("{path}: {reason}"),
        None => format!("the document: {reason}"),
    })
}

/// A value and where it stands.
#[derive(Clone, Copy)]
pub(super) struct Field<'t, 'a> {
    value: &'t Value<'a>,
    path: &'t Path<'t>,
}

/// An object whose names have been checked.
#[derive(Clone, Copy)]
pub(super) struct Members<'t, 'a> {
    members: &'t [(Cow<'a, str>, Value<'a>)],
    path: &'t Path<'t>,
}

impl<'t, 'a> Field<'t, 'a> {
    pub(super) const fn new(value: &'t Value<'a>, path: &'t Path<'t>) -> Self {
        Self { value, path }
    }

    fn expected<T>(self, what: &str) -> Result<T, String> {
        refuse(self.path, format_args!("expected {what}, found {}", self.value.name()))
    }

    /// The members, provided that none is a look-alike of a `known` name.
    pub(super) fn object(self, known: &[&str]) -> Result<Members<'t, 'a>, String> {
        let Value::Object(members) = self.value else { return self.expected("an object") };
        for (name, _) in members {
            if let Some(known) = known.iter().find(|known| **known != name && folds_to(name, known)) {
                let reason = format_args!("differs from {known:?} only in case, which readers take for it");
                return refuse(&Path::key(self.path, name), reason);
            }
        }
        Ok(Members { members, path: self.path })
    }

    pub(super) fn array(self) -> Result<(&'t [Value<'a>], &'t Path<'t>), String> {
        let Value::Array(items) = self.value else { return self.expected("an array") };
        Ok((items, self.path))
    }

    fn str(self) -> Result<&'t str, String> {
        let Value::Text(text) = self.value else { return self.expected("a string") };
        Ok(text)
    }

    pub(super) fn is_empty_text(self) -> bool {
        matches!(self.value, Value::Text(text) if text.is_empty())
    }

    pub(super) fn text(self) -> Result<String, String> {
        self.str().map(str::to_owned)
    }

    pub(super) fn texts(self) -> Result<Vec<String>, String> {
        let (items, path) = self.array()?;
        let text = |(position, item)| Field::new(item, &Path::index(path, position)).text();
        items.iter().enumerate().map(text).collect()
    }

    /// A non-negative integer written without fraction or exponent.
    pub(super) fn integer(self) -> Result<u64, String> {
        let Value::Integer(number) = self.value else { return self.expected("a non-negative integer") };
        Ok(*number)
    }

    /// A value with a grammar of its own.
    pub(super) fn parsed<T: std::str::FromStr<Err: fmt::Display>>(self) -> Result<T, String> {
        self.str()?.parse().or_else(|error| refuse(self.path, error))
    }
}

impl<'t, 'a> Members<'t, 'a> {
    /// Whether the name occurs, be it with `null`.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(member, _)| member == name)
    }

    /// The member that `path` ends in; `None` when missing or `null`.
    pub(super) fn get<'f>(&self, path: &'f Path<'f>) -> Option<Field<'f, 'a>>
    where
        't: 'f,
    {
        let Step::Key(name) = path.step else { return None };
        let (_, value) = self.members.iter().find(|(member, _)| member == name)?;
        (!matches!(value, Value::Null)).then_some(Field { value, path })
    }

    /// As [`Members::get`], for a member that must be there.
    pub(super) fn require<'f>(&self, path: &'f Path<'f>) -> Result<Field<'f, 'a>, String>
    where
        't: 'f,
    {
        self.get(path).map_or_else(|| refuse(path, "required, but missing"), Ok)
    }

    pub(super) const fn path(&self) -> &'t Path<'t> {
        self.path
    }
}

/// Whether Go's `encoding/json` would store a member called `name` in the field called `known`: it
/// folds ASCII case, the long s and the Kelvin sign.
fn folds_to(name: &str, known: &str) -> bool {
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    // No letter folds from more than three bytes to one, so longer names need no look.
    name.len() <= known.len() * 3 && name.chars().map(fold).eq(known.chars().map(fold))
}

/// A descriptor with the fields that depend on where it stands.
pub(super) struct Described {
    pub(super) descriptor: Descriptor,
    pub(super) urls: Vec<String>,
    pub(super) platform: Option<Platform>,
}

impl Described {
    pub(super) fn into_reference(self, role: fn(&Self) -> Role) -> Referenced {
        let role = role(&self);
        Referenced { descriptor: self.descriptor, role, urls: self.urls, platform: self.platform }
    }
}

const DESCRIPTOR: &[&str] =
    &["mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"];

/// Reads a descriptor (image-spec, "OCI Content Descriptors").
pub(super) fn descriptor(field: Field<'_, '_>) -> Result<Described, String> {
    let members = field.object(DESCRIPTOR)?;
    let at = |name| Path::key(field.path, name);
    let descriptor = Descriptor {
        media_type: members.require(&at("mediaType"))?.parsed::<MediaType>()?,
        digest: members.require(&at("digest"))?.parsed::<Digest>()?,
        size: size(members.require(&at("size"))?)?,
        artifact_type: members
            .get(&at("artifactType"))
            .map(Field::text)
            .transpose()?
            .filter(|text| !text.is_empty()),
        annotations: members.get(&at("annotations")).map(annotations).transpose()?.unwrap_or_default(),
    };
    if let Some(data) = members.get(&at("data")) {
        check_data(data, &descriptor)?;
    }
    Ok(Described {
        descriptor,
        urls: members.get(&at("urls")).map(Field::texts).transpose()?.unwrap_or_default(),
        platform: members.get(&at("platform")).map(platform::read).transpose()?,
    })
}

/// Sizes are `int64` in the specification; what does not fit would be negative to clients.
fn size(field: Field<'_, '_>) -> Result<u64, String> {
    let size = field.integer()?;
    match i64::try_from(size) {
        Ok(_) => Ok(size),
        Err(_) => refuse(field.path, "larger than 2^63-1"),
    }
}

/// Embedded content "MUST be identical to the referenced content" (image-spec, `data`). A client that
/// trusts it would otherwise run bytes whose digest nobody checked, so the registry checks.
fn check_data(field: Field<'_, '_>, descriptor: &Descriptor) -> Result<(), String> {
    let Ok(data) = STANDARD.decode(field.str()?) else {
        return refuse(field.path, "not base64 (RFC 4648, section 4, with padding)");
    };
    if u64::try_from(data.len()) != Ok(descriptor.size) {
        return refuse(field.path, "the embedded content has another length than size says");
    }
    if Digest::of(descriptor.digest.algorithm(), &data) != descriptor.digest {
        return refuse(field.path, "the embedded content has another digest than digest says");
    }
    Ok(())
}

/// Reads a map of strings to strings. Names here are data: any spelling is allowed.
pub(super) fn annotations(field: Field<'_, '_>) -> Result<BTreeMap<String, String>, String> {
    let members = field.object(&[])?;
    let entry = |(name, value): &(Cow<'_, str>, Value<'_>)| {
        let value = Field::new(value, &Path::key(field.path, name)).text()?;
        Ok((name.clone().into_owned(), value))
    };
    members.members.iter().map(entry).collect()
}
