//! Path and query parameters, each with its grammar and meaning.

/// A parameter of a path or a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The name, as it stands in the path template or the query.
    pub name: &'static str,
    /// Where it stands.
    pub place: Place,
    /// What values it takes.
    pub schema: Schema,
    /// Whether the request fails without it.
    pub required: bool,
    /// What it means, for the generated reference.
    pub description: &'static str,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the path; always required.
    Path,
    /// In the query.
    Query,
}

/// What values a parameter takes. For documents; values are parsed by the types of `entrepot-oci`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schema {
    /// Any text.
    Text,
    /// Text in a grammar, given as a regular expression that JSON Schema understands.
    Pattern(&'static str),
    /// A number from 0.
    Number,
    /// Text, and the parameter may be repeated.
    Repeated,
}

impl Parameter {
    const fn path(name: &'static str, schema: Schema, description: &'static str) -> Self {
        Self { name, place: Place::Path, schema, required: true, description }
    }

    const fn query(name: &'static str, schema: Schema, description: &'static str) -> Self {
        Self { name, place: Place::Query, schema, required: false, description }
    }

    const fn require(mut self) -> Self {
        self.required = true;
        self
    }
}

const NAME_PATTERN: &str = r"^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$";
const DIGEST_PATTERN: &str = r"^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$";

/// `{name}`
pub const NAME: Parameter = Parameter::path(
    "name",
    Schema::Pattern(NAME_PATTERN),
    "Repository name, at most 255 bytes. It may contain slashes, which stand in the path as they are.",
);
/// `{reference}`
pub const REFERENCE: Parameter =
    Parameter::path("reference", Schema::Text, "A tag, or the digest of a manifest.");
/// `{digest}`
pub const DIGEST: Parameter = Parameter::path(
    "digest",
    Schema::Pattern(DIGEST_PATTERN),
    "Digest of the content. Its colon may be escaped as `%3A`.",
);
/// `{session}`
pub const SESSION: Parameter =
    Parameter::path("session", Schema::Text, "The upload session, as `Location` names it.");

/// `digest` of a blob whose bytes the request carries or completes.
pub const UPLOAD_DIGEST: Parameter = Parameter::query(
    "digest",
    Schema::Pattern(DIGEST_PATTERN),
    "Digest of the whole blob. Given when the session is opened, the request's body is the blob and no session is left.",
);
/// `digest` of the PUT that finishes an upload.
pub const FINISH_DIGEST: Parameter = Parameter::query(
    "digest",
    Schema::Pattern(DIGEST_PATTERN),
    "Digest of the whole blob, not of the last chunk.",
)
.require();
/// `digest-algorithm`
pub const DIGEST_ALGORITHM: Parameter = Parameter::query(
    "digest-algorithm",
    Schema::Pattern("^(sha256|sha512)$"),
    "The algorithm the session hashes with; `sha256` when absent.",
);
/// `mount`
pub const MOUNT: Parameter = Parameter::query(
    "mount",
    Schema::Pattern(DIGEST_PATTERN),
    "Digest of a blob another repository holds. When it cannot be mounted, for whatever reason, a session is opened instead.",
);
/// `from`
pub const FROM: Parameter = Parameter::query(
    "from",
    Schema::Pattern(NAME_PATTERN),
    "The repository to mount from. The caller needs `pull` there; without it, or without the blob, the answer is 202.",
);
/// `_state`
pub const STATE: Parameter = Parameter::query(
    "_state",
    Schema::Text,
    "The session's signed token, part of `Location`. Opaque; order and escaping of the query do not matter.",
);
/// `size`
pub const SIZE: Parameter = Parameter::query(
    "size",
    Schema::Number,
    "Size of the whole blob in bytes, as clients of 2015 sent it. Checked when present.",
);
/// `length`
pub const LENGTH: Parameter =
    Parameter::query("length", Schema::Number, "The same as `size`, under its other old name.");
/// `tag`
pub const TAG: Parameter = Parameter::query(
    "tag",
    Schema::Repeated,
    "With a digest as reference: a tag to write in the same request. May be repeated.",
);
/// `n`
pub const N: Parameter = Parameter::query(
    "n",
    Schema::Number,
    "How many results one answer carries at most. 0 gives an empty list.",
);
/// `last`
pub const LAST: Parameter = Parameter::query(
    "last",
    Schema::Text,
    "List what comes after this value, itself excluded; it need not exist. Follow `Link` rather than build it.",
);
/// `artifactType`
pub const ARTIFACT_TYPE: Parameter = Parameter::query(
    "artifactType",
    Schema::Repeated,
    "List only referrers of this type. May be repeated; any of them then matches.",
);
/// `ns`
pub const NS: Parameter = Parameter::query(
    "ns",
    Schema::Text,
    "The registry the client originally meant, sent to mirrors. Ignored unless it chooses an upstream.",
);

/// Every parameter of the contract.
pub const ALL: &[&Parameter] = &[
    &NAME,
    &REFERENCE,
    &DIGEST,
    &SESSION,
    &UPLOAD_DIGEST,
    &FINISH_DIGEST,
    &DIGEST_ALGORITHM,
    &MOUNT,
    &FROM,
    &STATE,
    &SIZE,
    &LENGTH,
    &TAG,
    &N,
    &LAST,
    &ARTIFACT_TYPE,
    &NS,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_a_path_are_required() {
        assert!(ALL.iter().all(|parameter| parameter.place == Place::Query || parameter.required));
    }
}
