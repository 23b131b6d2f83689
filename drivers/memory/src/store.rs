//! What is stored: objects by key, uploads by id, and one counter that names them all.

use std::collections::BTreeMap;
use std::time::SystemTime;

use bytes::Bytes;
use entrepot_storage::{Error, ErrorKind, Key, ListPage, ObjectMeta, PutMode, Result, Version};

use crate::driver::NAME;

/// One object as it lies in the store.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) content: Bytes,
    pub(crate) version: Version,
    pub(crate) modified: SystemTime,
}

/// One upload in progress.
#[derive(Clone, Debug)]
pub(crate) struct Pending {
    pub(crate) key: Key,
    pub(crate) initiated: SystemTime,
    pub(crate) parts: BTreeMap<u32, (String, Bytes)>,
}

#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) objects: BTreeMap<Key, Stored>,
    pub(crate) uploads: BTreeMap<String, Pending>,
    names_given: u64,
}

impl Stored {
    pub(crate) fn meta(&self, key: &Key) -> ObjectMeta {
        ObjectMeta {
            key: key.clone(),
            size: self.content.len() as u64,
            version: Some(self.version.clone()),
            modified: Some(self.modified),
        }
    }
}

impl Store {
    /// A name never given before.
    pub(crate) fn fresh_name(&mut self) -> String {
        self.names_given += 1;
        format!("{:08x}", self.names_given)
    }

    /// Gives no name that `other` has given.
    pub(crate) fn continue_names_of(&mut self, other: &Store) {
        self.names_given = other.names_given;
    }

    pub(crate) fn find(&self, key: &Key) -> Result<&Stored> {
        self.objects.get(key).ok_or_else(|| Error::new(NAME, ErrorKind::NotFound).at(key))
    }

    pub(crate) fn put(&mut self, key: &Key, content: Bytes, mode: &PutMode) -> Result<ObjectMeta> {
        let present = self.objects.get(key);
        let refused = match mode {
            PutMode::Overwrite => None,
            PutMode::IfAbsent | PutMode::Fresh => present.map(|_| ErrorKind::AlreadyExists),
            PutMode::IfMatch(version) => {
                (present.map(|stored| &stored.version) != Some(version)).then_some(ErrorKind::Precondition)
            }
        };
        match refused {
            Some(kind) => Err(Error::new(NAME, kind).at(key)),
            None => Ok(self.write(key, content)),
        }
    }

    pub(crate) fn write(&mut self, key: &Key, content: Bytes) -> ObjectMeta {
        let stored = Stored { content, version: Version(self.fresh_name()), modified: SystemTime::now() };
        let meta = stored.meta(key);
        self.objects.insert(key.clone(), stored);
        meta
    }

    pub(crate) fn delete(&mut self, key: &Key, version: Option<&Version>) -> Result<()> {
        if let Some(version) = version
            && self.objects.get(key).is_none_or(|stored| stored.version != *version)
        {
            return Err(Error::new(NAME, ErrorKind::Precondition).at(key));
        }
        self.objects.remove(key);
        Ok(())
    }

    pub(crate) fn list(&self, prefix: &str, start_after: Option<&str>, limit: usize) -> ListPage {
        let mut matching = self
            .objects
            .iter()
            .filter(|(key, _)| key.as_str().starts_with(prefix))
            .filter(|(key, _)| start_after.is_none_or(|start| key.as_str() > start));
        let objects = matching.by_ref().take(limit).map(|(key, stored)| stored.meta(key)).collect();
        ListPage { objects, more: matching.next().is_some() }
    }
}
