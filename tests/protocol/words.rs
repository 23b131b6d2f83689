//! The few things the programs talk about: two repositories, two blobs, two tags, a handful of manifests.

use std::sync::LazyLock;

use bytes::Bytes;
use entrepot_oci::media_type::{OCI_CONFIG, OCI_INDEX, OCI_MANIFEST};
use entrepot_oci::{Digest, RepositoryName, Tag};

/// A repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Repo {
    R0,
    R1,
}

/// A blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Blob {
    A,
    B,
}

/// A tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Label {
    T0,
    T1,
}

/// A manifest. The name says what it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Man {
    /// An image of blob A.
    A0,
    /// Another image of blob A.
    A1,
    /// An image of blob B.
    B0,
    /// An image of both blobs.
    Ab,
    /// An index over `A0`.
    Ix,
    /// An index over `A0` and `B0`.
    Iy,
    /// An image of blob A that refers to `A0`.
    Rf,
}

impl Repo {
    pub(crate) const ALL: [Repo; 2] = [Repo::R0, Repo::R1];

    pub(crate) fn name(self) -> RepositoryName {
        match self {
            Repo::R0 => "team/app",
            Repo::R1 => "other",
        }
        .parse()
        .unwrap()
    }
}

impl Blob {
    pub(crate) const ALL: [Blob; 2] = [Blob::A, Blob::B];

    pub(crate) const fn content(self) -> &'static [u8] {
        match self {
            Blob::A => b"alpha-alpha",
            Blob::B => b"bravo",
        }
    }

    pub(crate) fn digest(self) -> Digest {
        static DIGESTS: LazyLock<[Digest; 2]> =
            LazyLock::new(|| Blob::ALL.map(|blob| Digest::sha256(blob.content())));
        DIGESTS[self as usize]
    }

    /// The blob a digest belongs to.
    pub(crate) fn of(digest: &Digest) -> Option<Blob> {
        Blob::ALL.into_iter().find(|blob| blob.digest() == *digest)
    }
}

impl Label {
    pub(crate) const ALL: [Label; 2] = [Label::T0, Label::T1];

    pub(crate) fn tag(self) -> Tag {
        match self {
            Label::T0 => "v1",
            Label::T1 => "latest",
        }
        .parse()
        .unwrap()
    }
}

impl Man {
    pub(crate) const ALL: [Man; 7] = [Man::A0, Man::A1, Man::B0, Man::Ab, Man::Ix, Man::Iy, Man::Rf];

    pub(crate) const fn blobs(self) -> &'static [Blob] {
        match self {
            Man::A0 | Man::A1 | Man::Rf => &[Blob::A],
            Man::B0 => &[Blob::B],
            Man::Ab => &[Blob::A, Blob::B],
            Man::Ix | Man::Iy => &[],
        }
    }

    pub(crate) const fn children(self) -> &'static [Man] {
        match self {
            Man::Ix => &[Man::A0],
            Man::Iy => &[Man::A0, Man::B0],
            _ => &[],
        }
    }

    /// What it refers to as its subject.
    pub(crate) fn subject(self) -> Option<Man> {
        (self == Man::Rf).then_some(Man::A0)
    }

    pub(crate) const fn media_type(self) -> &'static str {
        if self.children().is_empty() { OCI_MANIFEST } else { OCI_INDEX }
    }

    pub(crate) fn content(self) -> Bytes {
        static CONTENTS: LazyLock<Vec<Bytes>> = LazyLock::new(|| Man::ALL.map(Man::write).to_vec());
        CONTENTS[self as usize].clone()
    }

    pub(crate) fn digest(self) -> Digest {
        static DIGESTS: LazyLock<Vec<Digest>> =
            LazyLock::new(|| Man::ALL.map(|man| Digest::sha256(&man.content())).to_vec());
        DIGESTS[self as usize]
    }

    /// The manifest a digest belongs to.
    pub(crate) fn of(digest: &Digest) -> Option<Man> {
        Man::ALL.into_iter().find(|man| man.digest() == *digest)
    }

    fn write(self) -> Bytes {
        let mut note = format!(r#""annotations":{{"name":"{self:?}"}}"#);
        if let Some(subject) = self.subject() {
            note = format!(r#"{note},"subject":{}"#, entry(subject.media_type(), &subject.write()));
        }
        if !self.children().is_empty() {
            let children: Vec<String> =
                self.children().iter().map(|man| entry(man.media_type(), &man.write())).collect();
            let list = children.join(",");
            return format!(r#"{{"schemaVersion":2,"mediaType":"{OCI_INDEX}","manifests":[{list}],{note}}}"#)
                .into();
        }
        let (config, layers) = self.blobs().split_first().expect("an image has a config");
        let layer = |blob: &Blob| entry("application/vnd.oci.image.layer.v1.tar", blob.content());
        let layers: Vec<String> = layers.iter().map(layer).collect();
        format!(
            r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{},"layers":[{}],{note}}}"#,
            entry(OCI_CONFIG, config.content()),
            layers.join(",")
        )
        .into()
    }
}

fn entry(kind: &str, content: &[u8]) -> String {
    format!(r#"{{"mediaType":"{kind}","digest":"{}","size":{}}}"#, Digest::sha256(content), content.len())
}

/// A small reproducible source of randomness.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub(crate) const fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    /// True once in `one_in` times.
    pub(crate) const fn chance(&mut self, one_in: usize) -> bool {
        self.below(one_in) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
