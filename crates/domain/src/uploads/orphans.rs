//! Freeing bytes that lie under no session and that no blob record names: the last part of `protocol.md` 2.10.
//!
//! Nearly all old bytes are blobs that are in use. So a run that looks at all of them first reads the blob
//! records and passes over what they name; only the rest is judged by the protocol, which reads them again.
//! To pass over something is always safe.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use entrepot_oci::Digest;
use entrepot_storage::{Key, ObjectMeta};

use super::append::tombstone;
use super::expire::{Expired, Expiry, Reach};
use crate::blobs::visible;
use crate::error::Result;
use crate::layout;
use crate::mutation::Mutation;
use crate::record::{Class, Pointer, Publishing, SessionRecord, SessionState};
use crate::registry::Inner;

/// Data keys, as far as 16 MiB of memory can tell them from others: a Bloom filter. A key that is taken for
/// one of them by accident keeps an orphan until the next run, which takes another seed. Of ten million keys
/// one in two hundred is.
struct InUse {
    seed: u64,
    bits: Vec<u64>,
}

const WORDS: usize = 1 << 21;
const MARKS: u64 = 4;

impl InUse {
    fn nothing(seed: u64) -> Self {
        Self { seed, bits: vec![0; WORDS] }
    }

    /// The bits that stand for a key, each as a word and a mask.
    fn places(&self, key: &Key) -> impl Iterator<Item = (usize, u64)> + use<> {
        let seed = self.seed;
        let hash = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            (seed, salt, key).hash(&mut hasher);
            hasher.finish()
        };
        let (one, other) = (hash(0), hash(1) | 1);
        (0..MARKS).map(move |mark| {
            let place = one.wrapping_add(other.wrapping_mul(mark)) % (WORDS as u64 * 64);
            ((place / 64) as usize, 1 << (place % 64))
        })
    }

    fn add(&mut self, key: &Key) {
        for (word, mask) in self.places(key) {
            self.bits[word] |= mask;
        }
    }

    fn may_contain(&self, key: &Key) -> bool {
        self.places(key).all(|(word, mask)| self.bits[word] & mask != 0)
    }
}

/// The session some bytes belong to.
enum Owner {
    /// It may still publish them, or its own expiry will free them.
    Alive,
    /// It takes nothing more. What it was publishing, if it came to that.
    Ended(Option<Publishing>),
}

impl Inner {
    pub(super) async fn sweep_orphans(
        &self,
        expiry: &Expiry,
        reach: Reach,
        done: &mut Expired,
    ) -> Result<()> {
        let (below, in_use) = match reach {
            Reach::Younger(age) => (Some(age), None),
            Reach::Everything => (None, Some(self.in_use(done).await?)),
        };
        let mut nameless = BTreeSet::new();
        let mut early = BTreeSet::new();
        if self.broken(Mutation::OrphanSweepScansFirst) {
            self.each_instance(|inst| _ = early.insert(inst)).await?;
        }
        self.each_object(layout::DATA, async |meta| {
            let age = self.age(meta.modified);
            let passed_over = age <= expiry.orphans || below.is_some_and(|below| age >= below);
            if passed_over || in_use.as_ref().is_some_and(|in_use| in_use.may_contain(&meta.key)) {
                return Ok(());
            }
            match self.sweep(&meta.key, expiry, done).await {
                Ok(None) => {}
                Ok(Some(Nameless)) => _ = nameless.insert(meta.key),
                Err(error) => done.note(meta.key.as_str(), Err(error)),
            }
            Ok(())
        })
        .await?;
        if self.broken(Mutation::OrphanSweepScansFirst) {
            nameless.retain(|key| !early.contains(key));
        } else if !nameless.is_empty()
            && let Err(error) = self.each_instance(|inst| _ = nameless.remove(&inst)).await
        {
            // What cannot be read might name any of them.
            done.note(layout::BLOBS, Err(error));
            return Ok(());
        }
        for key in nameless {
            self.drop_object(&key, expiry, done).await;
        }
        Ok(())
    }

    /// Judges old bytes by the records their key leads to. Where it leads to none, their session was made dead,
    /// and all blob records have yet to be asked (r12).
    async fn sweep(&self, key: &Key, expiry: &Expiry, done: &mut Expired) -> Result<Option<Nameless>> {
        let Some(parsed) = layout::parse_data(key) else { return Ok(None) };
        match (parsed.digest, parsed.owner) {
            (Some(digest), _) => self.sweep_known(key, &digest, expiry, done).await.map(|()| None),
            (None, Some(owner)) => match self.owner(&owner, expiry.dry_run).await? {
                Owner::Alive => Ok(None),
                // An attempt to publish these very bytes may still be on its way.
                Owner::Ended(Some(publish)) if publish.inst == *key => {
                    self.sweep_known(key, &publish.digest, expiry, done).await.map(|()| None)
                }
                Owner::Ended(_) => Ok(Some(Nameless)),
            },
            (None, None) => Ok(None),
        }
    }

    async fn sweep_known(
        &self,
        key: &Key,
        digest: &Digest,
        expiry: &Expiry,
        done: &mut Expired,
    ) -> Result<()> {
        let blob = self.load::<Pointer>(&layout::blob(digest)).await?;
        if visible(&blob).is_some_and(|(_, inst)| inst == key) || self.has_live_owner(key).await? {
            return Ok(());
        }
        done.objects += 1;
        if expiry.dry_run {
            return Ok(());
        }
        self.fence(digest, key, None).await
    }

    /// Whether a session that has not ended may still publish these bytes. Its own expiry decides then.
    pub(super) async fn has_live_owner(&self, key: &Key) -> Result<bool> {
        let Some(owner) = layout::parse_data(key).and_then(|parsed| parsed.owner) else { return Ok(false) };
        let Some(session) = layout::upload(&owner) else { return Ok(false) };
        let found = self.load::<SessionRecord>(&session).await?;
        Ok(found.record.is_some_and(|record| record.state != SessionState::Dead))
    }

    /// What has become of a session. One that is absent is made dead now.
    async fn owner(&self, owner: &str, dry_run: bool) -> Result<Owner> {
        let Some(key) = layout::upload(owner) else { return Ok(Owner::Alive) };
        let found = self.load::<SessionRecord>(&key).await?;
        match found.record {
            Some(record) if record.state == SessionState::Dead => Ok(Owner::Ended(record.publish)),
            Some(_) => Ok(Owner::Alive),
            None if dry_run => Ok(Owner::Ended(None)),
            None => {
                let grave = tombstone("orphan".parse().expect("a constant in the grammar"));
                let buried = self.swap(&key, None, &grave).await?.is_won();
                Ok(if buried { Owner::Ended(None) } else { Owner::Alive })
            }
        }
    }

    /// What blob records name, as far as they can be read.
    async fn in_use(&self, done: &mut Expired) -> Result<InUse> {
        let mut seed = [0; 8];
        self.entropy.fill(&mut seed);
        let mut in_use = InUse::nothing(u64::from_ne_bytes(seed));
        self.each_object(layout::BLOBS, async |meta| {
            match self.instance(&meta).await {
                Ok(inst) => inst.iter().for_each(|inst| in_use.add(inst)),
                Err(error) => done.note(meta.key.as_str(), Err(error)),
            }
            Ok(())
        })
        .await?;
        Ok(in_use)
    }

    /// Hands over what each blob record names. One that cannot be read might name anything.
    async fn each_instance(&self, mut visit: impl FnMut(Key)) -> Result<()> {
        self.each_object(layout::BLOBS, async |meta| {
            self.instance(&meta).await?.into_iter().for_each(&mut visit);
            Ok(())
        })
        .await
    }

    /// The bytes a listed blob record names. One read, unless it is a tombstone.
    async fn instance(&self, listed: &ObjectMeta) -> Result<Option<Key>> {
        if Class::of_size(listed.size).is_dead() {
            return Ok(None);
        }
        Ok(self.load::<Pointer>(&listed.key).await?.record.and_then(|record| record.inst))
    }
}

/// Nothing tells which blob some bytes were to be.
struct Nameless;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_is_never_taken_for_something_else_and_the_rest_seldom_for_it() {
        let key = |number: u32| format!("data/ab/{number:032x}").parse::<Key>().expect("a key");
        let mut in_use = InUse::nothing(7);

        (0..10_000).for_each(|number| in_use.add(&key(number)));

        assert!((0..10_000).all(|number| in_use.may_contain(&key(number))));
        assert!((10_000..20_000).filter(|&number| in_use.may_contain(&key(number))).count() < 10);
    }
}
