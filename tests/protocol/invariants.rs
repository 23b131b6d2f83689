//! What must hold of the raw store after every single request.
//!
//! A mirror of the records is kept beside the store and refreshed only where a request may have written.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use entrepot_domain::layout;
use entrepot_domain::record::{
    Life, ManifestRecord, Pointer, Record, RepositoryEntry, SessionRecord, SessionState, TagRecord,
};
use entrepot_driver_memory::MemoryDriver;
use entrepot_oci::{Digest, RepositoryName};
use entrepot_storage::Key;

use crate::words::{Blob, Label, Man, Repo};

/// The store as records.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) blobs: BTreeMap<Blob, Pointer>,
    pub(crate) links: BTreeMap<(Repo, Blob), Pointer>,
    pub(crate) manifests: BTreeMap<(Repo, Man), ManifestRecord>,
    pub(crate) tags: BTreeMap<(Repo, Label), TagRecord>,
    pub(crate) sessions: BTreeMap<Key, SessionRecord>,
    pub(crate) data: BTreeMap<Key, Bytes>,
    /// Referrers as they are listed.
    pub(crate) referrers: BTreeSet<Key>,
    /// The catalog.
    pub(crate) repositories: BTreeMap<Repo, RepositoryEntry>,
}

impl World {
    /// The whole store, read anew.
    pub(crate) fn read(store: &MemoryDriver) -> Result<Self, String> {
        let mut world = Self::default();
        for key in store.keys() {
            world.refresh(store, &key)?;
        }
        Ok(world)
    }

    /// Reads one key anew.
    pub(crate) fn refresh(&mut self, store: &MemoryDriver, key: &Key) -> Result<(), String> {
        let content = store.peek(key);
        let segments: Vec<&str> = key.as_str().split('/').collect();
        match segments[..] {
            ["blobs", algorithm, hex] => {
                let Some(blob) = Blob::of(&digest(algorithm, hex)) else { return Ok(()) };
                let record = content.ok_or_else(|| format!("the blob record {key} was removed (r5)"))?;
                self.blobs.insert(blob, decode(key, &record)?);
            }
            ["links", algorithm, hex, repository] => {
                let Some(blob) = Blob::of(&digest(algorithm, hex)) else { return Ok(()) };
                set(&mut self.links, (repo(repository), blob), key, content)?;
            }
            ["manifests", repository, algorithm, hex] => {
                let Some(man) = Man::of(&digest(algorithm, hex)) else { return Ok(()) };
                set(&mut self.manifests, (repo(repository), man), key, content)?;
            }
            ["tags", repository, tag] => {
                let label = Label::ALL.into_iter().find(|label| label.tag().as_str() == tag);
                let label = label.ok_or_else(|| format!("nobody pushes the tag {tag}"))?;
                set(&mut self.tags, (repo(repository), label), key, content)?;
            }
            ["uploads", _] => set(&mut self.sessions, key.clone(), key, content)?,
            ["repositories", repository] => {
                set(&mut self.repositories, repo(repository), key, content)?;
            }
            ["referrers", ..] => {
                match content {
                    Some(_) => self.referrers.insert(key.clone()),
                    None => self.referrers.remove(key),
                };
            }
            ["data", ..] => {
                match content {
                    Some(bytes) => self.data.insert(key.clone(), bytes),
                    None => self.data.remove(key),
                };
            }
            _ => {}
        }
        Ok(())
    }

    /// Every invariant; the first that does not hold.
    pub(crate) fn check(&self) -> Result<(), String> {
        self.check_blobs()?;
        for (&(repo, man), record) in &self.manifests {
            if record.is_visible() {
                self.check_manifest(repo, man, record)?;
            }
        }
        self.check_tags()?;
        self.check_sessions()
    }

    /// Whether readers of the repository can have the blob, and everything is where it should be.
    pub(crate) fn check_held(&self, repo: Repo, blob: Blob) -> Result<(), String> {
        let link = self.links.get(&(repo, blob)).and_then(Pointer::visible);
        let link = link.ok_or("its link is gone")?;
        self.blobs.get(&blob).and_then(Pointer::visible).ok_or("its blob record is gone")?;
        match self.data.get(link) {
            None => Err(format!("its link names {link}, which is not there")),
            Some(bytes) if bytes != blob.content() => Err(format!("its link names {link}: other bytes")),
            Some(_) => Ok(()),
        }
    }

    pub(crate) fn is_committed(&self, repo: Repo, man: Man) -> bool {
        self.manifests.get(&(repo, man)).is_some_and(ManifestRecord::is_visible)
    }

    pub(crate) fn current(&self, repo: Repo, label: Label) -> Option<Man> {
        let cur = self.tags.get(&(repo, label))?.cur.as_ref()?;
        Some(Man::of(&cur.digest).expect("nothing else is pushed"))
    }

    /// Whether the manifest is listed among the referrers of its subject; true where it has none.
    pub(crate) fn is_listed(&self, repo: Repo, man: Man) -> bool {
        let entry = |subject: Man| layout::referrer(&repo.name(), &subject.digest(), &man.digest());
        man.subject().is_none_or(|subject| self.referrers.contains(&entry(subject)))
    }

    /// Whether the repository is in the catalog.
    pub(crate) fn is_in_catalog(&self, repo: Repo) -> bool {
        self.repositories.get(&repo).is_some_and(|entry| entry.state == Life::Live)
    }

    /// Integrity of what blob records name.
    fn check_blobs(&self) -> Result<(), String> {
        for (blob, record) in &self.blobs {
            let Some(inst) = record.visible() else { continue };
            match self.data.get(inst) {
                None => return Err(format!("the record of {blob:?} names {inst}, which is not there")),
                Some(bytes) if bytes != blob.content() || record.size != bytes.len() as u64 => {
                    return Err(format!("the record of {blob:?} names {inst}: other bytes"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Integrity and closure of a committed manifest.
    fn check_manifest(&self, repo: Repo, man: Man, record: &ManifestRecord) -> Result<(), String> {
        let named = |what: String| format!("{man:?} is committed in {repo:?}, but {what}");
        if record.bytes != man.content() {
            return Err(named("holds other bytes".into()));
        }
        for &blob in man.blobs() {
            self.check_held(repo, blob).map_err(|why| named(format!("of {blob:?} {why}")))?;
        }
        for &child in man.children() {
            if !self.is_committed(repo, child) {
                return Err(named(format!("its child {child:?} is not")));
            }
        }
        Ok(())
    }

    fn check_tags(&self) -> Result<(), String> {
        for &(repo, label) in self.tags.keys() {
            if let Some(man) = self.current(repo, label)
                && !self.is_committed(repo, man)
            {
                return Err(format!("{label:?} of {repo:?} names {man:?}, which is not committed"));
            }
        }
        Ok(())
    }

    /// An open session's parked bytes are there: otherwise its offset lies.
    fn check_sessions(&self) -> Result<(), String> {
        for (key, record) in &self.sessions {
            let tail = record.append.as_ref().and_then(|append| append.tail.as_ref());
            if record.state == SessionState::Open
                && let Some(tail) = tail
                && self.data.get(&tail.key).is_none_or(|bytes| bytes.len() as u64 != tail.size)
            {
                return Err(format!("the open session {key} stands on {}, which is not there", tail.key));
            }
        }
        Ok(())
    }

    /// What stands at a key, in a few words.
    pub(crate) fn tell(&self, key: &str) -> String {
        let segments: Vec<&str> = key.split('/').collect();
        match segments[..] {
            ["blobs", algorithm, hex] => {
                let blob = Blob::of(&digest(algorithm, hex));
                blob.map_or_else(String::new, |blob| format!("B({blob:?})={}", tell(self.blobs.get(&blob))))
            }
            ["links", algorithm, hex, repository] if !repository.is_empty() => {
                let Some(blob) = Blob::of(&digest(algorithm, hex)) else { return String::new() };
                let at = (repo(repository), blob);
                format!("L({:?},{blob:?})={}", at.0, tell(self.links.get(&at)))
            }
            ["manifests", repository, algorithm, hex] => {
                let Some(man) = Man::of(&digest(algorithm, hex)) else { return String::new() };
                let at = (repo(repository), man);
                let state = self.manifests.get(&at).map(|record| record.state);
                format!("M({:?},{man:?})={state:?}", at.0)
            }
            ["tags", repository, tag] if !tag.is_empty() => self.tell_tag(repository, tag),
            ["uploads", _] => {
                let Ok(at) = key.parse::<Key>() else { return String::new() };
                format!("S={:?}", self.sessions.get(&at).map(|record| record.state))
            }
            ["data", ..] => {
                let Ok(at) = key.parse::<Key>() else { return String::new() };
                if self.data.contains_key(&at) { "there".into() } else { "not there".into() }
            }
            _ => String::new(),
        }
    }

    fn tell_tag(&self, repository: &str, tag: &str) -> String {
        let Some(label) = Label::ALL.into_iter().find(|label| label.tag().as_str() == tag) else {
            return String::new();
        };
        let repo = repo(repository);
        let next: Vec<Option<Man>> = self
            .tags
            .get(&(repo, label))
            .map(|record| record.next.iter().map(|announced| Man::of(&announced.digest)).collect())
            .unwrap_or_default();
        format!("T({repo:?},{label:?})={:?} next {next:?}", self.current(repo, label))
    }
}

fn tell(pointer: Option<&Pointer>) -> String {
    let Some(pointer) = pointer else { return "absent".into() };
    let inst = pointer.inst.as_ref().map_or("-", |key| short(key.as_str()));
    format!("{:?}({inst})", pointer.state)
}

/// Enough of a data key to tell it from others.
pub(crate) fn short(key: &str) -> &str {
    match key.strip_prefix("data/") {
        Some(rest) => &rest[..rest.len().min(10)],
        None => key,
    }
}

fn digest(algorithm: &str, hex: &str) -> Digest {
    format!("{algorithm}:{hex}").parse().expect("the layout writes digests")
}

fn repo(segment: &str) -> Repo {
    let name: RepositoryName = layout::repository_of(segment).expect("the layout writes names");
    Repo::ALL.into_iter().find(|repo| repo.name() == name).expect("nobody else writes")
}

fn decode<R: Record>(key: &Key, content: &Bytes) -> Result<R, String> {
    R::decode(content).map(|(record, _)| record).map_err(|why| format!("{key} is unreadable: {why}"))
}

fn set<K: Ord, R: Record>(
    map: &mut BTreeMap<K, R>,
    at: K,
    key: &Key,
    content: Option<Bytes>,
) -> Result<(), String> {
    match content {
        Some(content) => map.insert(at, decode(key, &content)?),
        None => map.remove(&at),
    };
    Ok(())
}
