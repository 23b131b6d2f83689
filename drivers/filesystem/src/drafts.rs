//! Objects that are written before they may be seen.
//!
//! Whoever is about to put a small object may say so while something else is still on its way that has to
//! be durable first. The bytes are written and synced and the directory is made meanwhile; the put finds
//! them and has only to give them their name. Where no thread is free nothing is done ahead, and a put
//! that comes before its draft was begun writes for itself: nobody ever waits for a thread here.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use entrepot_storage::{Key, PreparedPut};
use rustix::io::Result;

use crate::client::Client;
use crate::place::split;
use crate::write::Draft;

/// The puts that were told ahead, by what they will put where.
#[derive(Debug, Default)]
pub(crate) struct Drafts {
    slots: Mutex<HashMap<(Key, Bytes), Arc<Slot>>>,
}

/// A draft on its way.
#[derive(Debug, Default)]
struct Slot {
    state: Mutex<State>,
    written: Condvar,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Waiting,
    Writing,
    Written(Draft),
    /// Taken, given up or failed. Why it failed is found out again by the put.
    Over,
}

impl Drafts {
    /// The draft of what is being put, if there is one; waits for one that is being written.
    pub(crate) fn take(&self, key: &Key, body: &Bytes) -> Option<Draft> {
        let slot = {
            let mut slots = self.slots();
            if slots.is_empty() {
                return None;
            }
            slots.remove(&(key.clone(), body.clone()))?
        };
        slot.take()
    }

    fn remove(&self, told: &(Key, Bytes), slot: &Arc<Slot>) {
        let mut slots = self.slots();
        if slots.get(told).is_some_and(|held| Arc::ptr_eq(held, slot)) {
            slots.remove(told);
        }
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<(Key, Bytes), Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Option<Draft> {
        let mut state = self.state();
        // Whoever writes holds a thread already, so this ends.
        while matches!(*state, State::Writing) {
            state = self.written.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        match std::mem::replace(&mut *state, State::Over) {
            State::Written(draft) => Some(draft),
            State::Waiting | State::Writing | State::Over => None,
        }
    }

    fn write(&self, client: &Client, (key, body): &(Key, Bytes)) {
        {
            let mut state = self.state();
            if !matches!(*state, State::Waiting) {
                return;
            }
            *state = State::Writing;
        }
        let mut ending = Ending { slot: self, draft: None };
        ending.draft = write(client, key, body).ok();
    }
}

/// Ends the writing, also when it panics: somebody may wait for it.
struct Ending<'a> {
    slot: &'a Slot,
    draft: Option<Draft>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        *self.slot.state() = self.draft.take().map_or(State::Over, State::Written);
        self.slot.written.notify_all();
    }
}

fn write(client: &Client, key: &Key, body: &Bytes) -> Result<Draft> {
    let draft = Draft::begin(client, body)?;
    let mut is_synced = false;
    client.directories().ensure_around(split(key).0, &mut || {
        draft.sync()?;
        is_synced = true;
        Ok(())
    })?;
    if !is_synced {
        draft.sync()?;
    }
    Ok(draft)
}

/// Begins a draft, if a thread is free for it.
pub(crate) fn prepare(client: &Arc<Client>, key: &Key, body: &Bytes) -> PreparedPut {
    let told = Arc::new((key.clone(), body.clone()));
    let slot = Arc::new(Slot::default());
    client.drafts.slots().insert((key.clone(), body.clone()), Arc::clone(&slot));
    let holder = Holder { client: Arc::clone(client), told: Arc::clone(&told), slot: Arc::clone(&slot) };
    if client.run_if_free(move |client| slot.write(client, &told)) {
        PreparedPut::holding(holder)
    } else {
        PreparedPut::nothing()
    }
}

/// Gives a draft up that no put has taken.
#[derive(Debug)]
struct Holder {
    client: Arc<Client>,
    told: Arc<(Key, Bytes)>,
    slot: Arc<Slot>,
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.client.drafts.remove(&self.told, &self.slot);
        let mut state = self.slot.state();
        // What is being written goes with the last that holds its slot.
        if !matches!(*state, State::Writing)
            && let State::Written(draft) = std::mem::replace(&mut *state, State::Over)
        {
            // Its file is removed, which may wait for the disk.
            self.client.run_if_free(move |_| drop(draft));
        }
    }
}

#[cfg(test)]
mod tests {
    use entrepot_storage::PutMode;
    use rustix::fs::{AtFlags, statat};

    use super::*;
    use crate::Config;
    use crate::instance::names;
    use crate::write::put;

    fn store() -> (tempfile::TempDir, Arc<Client>) {
        let directory = tempfile::tempdir().unwrap();
        let client = Client::open(&Config::at(directory.path())).unwrap();
        (directory, Arc::new(client))
    }

    /// What a caller tells, with the slot as it is before a thread takes it up.
    fn told(client: &Arc<Client>) -> (Arc<(Key, Bytes)>, Arc<Slot>, Holder) {
        let told = Arc::new(("new/object".parse().unwrap(), Bytes::from_static(b"content")));
        let slot = Arc::new(Slot::default());
        client.drafts.slots().insert((*told).clone(), Arc::clone(&slot));
        let holder = Holder { client: Arc::clone(client), told: Arc::clone(&told), slot: Arc::clone(&slot) };
        (told, slot, holder)
    }

    fn put_told(client: &Client, told: &(Key, Bytes)) {
        put(client, &told.0, &told.1, &PutMode::IfAbsent).unwrap();
    }

    fn inode(client: &Client, name: &str) -> u64 {
        statat(&client.root, name, AtFlags::SYMLINK_NOFOLLOW).unwrap().st_ino
    }

    #[test]
    fn a_put_only_names_what_was_written_ahead() {
        let (_directory, client) = store();
        let (told, slot, holder) = told(&client);
        slot.write(&client, &told);
        let drafted = names(&client.tmp).unwrap().pop().unwrap();
        let ahead = inode(&client, &format!(".entrepot/tmp/{drafted}"));

        put_told(&client, &told);
        drop(holder);

        assert_eq!(inode(&client, "new/object"), ahead);
        assert!(names(&client.tmp).unwrap().is_empty());
    }

    #[test]
    fn a_put_that_comes_before_its_draft_is_begun_writes_for_itself() {
        let (_directory, client) = store();
        let (told, slot, _holder) = told(&client);

        put_told(&client, &told);
        slot.write(&client, &told);

        assert!(names(&client.tmp).unwrap().is_empty(), "nothing was written for nobody");
    }

    #[test]
    fn a_put_waits_for_the_draft_that_is_being_written() {
        let (_directory, client) = store();
        let (told, slot, _holder) = told(&client);
        *slot.state() = State::Writing;
        let putting = std::thread::spawn({
            let (client, told) = (Arc::clone(&client), Arc::clone(&told));
            move || put_told(&client, &told)
        });

        let draft = write(&client, &told.0, &told.1).unwrap();
        drop(Ending { slot: &slot, draft: Some(draft) });

        putting.join().unwrap();
        assert!(names(&client.tmp).unwrap().is_empty(), "the draft became the object, or was removed");
    }

    #[test]
    fn a_draft_that_failed_leaves_the_put_to_itself() {
        let (_directory, client) = store();
        let (told, slot, _holder) = told(&client);
        *slot.state() = State::Writing;
        drop(Ending { slot: &slot, draft: None });

        put_told(&client, &told);

        assert!(inode(&client, "new/object") > 0);
    }

    #[test]
    fn a_draft_that_is_given_up_leaves_nothing() {
        let (_directory, client) = store();
        let (written, slot, holder) = told(&client);
        slot.write(&client, &written);
        drop(holder);
        let (begun, slot, holder) = told(&client);
        drop(holder);
        slot.write(&client, &begun);

        assert!(client.drafts.slots().is_empty());
        // The file goes on a thread that may wait. Waits as long as it takes: it fails by never ending.
        while !names(&client.tmp).unwrap().is_empty() {
            std::thread::yield_now();
        }
    }
}
