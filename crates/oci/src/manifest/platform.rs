//! The platform of an index entry (image-spec, "Image Index Property Descriptions").

use std::fmt;

use super::fields::{Field, Path};

/// What an index entry runs on. `os` and `architecture` are required by the specification but missing
/// often enough in practice; they are empty then, and match no policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Platform {
    /// Operating system as Go names it: `linux`, `windows`; `unknown` for BuildKit's attestations.
    pub os: String,
    /// CPU architecture as Go names it: `amd64`, `arm64`.
    pub architecture: String,
    /// CPU variant: `v7`, `v8`.
    pub variant: Option<String>,
    /// Version of the operating system, mostly of Windows.
    pub os_version: Option<String>,
    /// Features the operating system must have.
    pub os_features: Vec<String>,
}

impl fmt::Display for Platform {
    /// `os/architecture[/variant]`, as clients write it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

const PLATFORM: &[&str] = &["architecture", "os", "os.version", "os.features", "variant", "features"];

pub(super) fn read(field: Field<'_, '_>) -> Result<Platform, String> {
    let members = field.object(PLATFORM)?;
    let text = |name| members.get(&Path::key(members.path(), name)).map(Field::text).transpose();
    let features = Path::key(members.path(), "os.features");
    Ok(Platform {
        os: text("os")?.unwrap_or_default(),
        architecture: text("architecture")?.unwrap_or_default(),
        variant: text("variant")?.filter(|variant| !variant.is_empty()),
        os_version: text("os.version")?.filter(|version| !version.is_empty()),
        os_features: members.get(&features).map(Field::texts).transpose()?.unwrap_or_default(),
    })
}
