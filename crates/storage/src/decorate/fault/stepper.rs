//! Holds calls until they are let go, one at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::decorate::Operation;

/// Where a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// Before it is applied.
    Before,
    /// After it was applied, before the caller learns of it.
    After,
}

/// A call that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// Names it to [`Stepper::release`]. Later calls have greater numbers.
    pub id: u64,
    /// The handle that made the call.
    pub actor: Arc<str>,
    /// Which call.
    pub operation: Operation,
    /// Its key, or prefix for listings.
    pub subject: String,
    /// Where it waits.
    pub point: Point,
}

/// Lets a scheduler decide which call goes next. Clones share the queue, and several handles may wait
/// at one stepper.
///
/// A test polls all its tasks until each is done or waits here, looks at [`waiting`](Self::waiting),
/// and releases one. Without further threads that is deterministic.
#[derive(Clone, Debug)]
pub struct Stepper {
    holds_after: bool,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    waiting: BTreeMap<u64, (Ticket, oneshot::Sender<()>)>,
}

/// Takes a dropped call out of the queue.
struct Place<'a> {
    stepper: &'a Stepper,
    id: u64,
}

impl Stepper {
    /// Calls wait before they are applied.
    pub fn before() -> Self {
        Self { holds_after: false, queue: Arc::default() }
    }

    /// Calls wait before they are applied, and again before they are answered.
    pub fn before_and_after() -> Self {
        Self { holds_after: true, queue: Arc::default() }
    }

    /// The calls that wait, the oldest first.
    pub fn waiting(&self) -> Vec<Ticket> {
        self.queue().waiting.values().map(|(ticket, _)| ticket.clone()).collect()
    }

    /// Lets one call go. Answers whether it was still waiting.
    pub fn release(&self, id: u64) -> bool {
        let waiting = self.queue().waiting.remove(&id);
        waiting.is_some_and(|(_, call)| call.send(()).is_ok())
    }

    /// Lets every call go that waits now.
    pub fn release_all(&self) {
        let waiting = std::mem::take(&mut self.queue().waiting);
        for (_, call) in waiting.into_values() {
            // A call that was dropped meanwhile needs no permission.
            let _ = call.send(());
        }
    }

    pub(super) async fn wait(&self, actor: &Arc<str>, operation: Operation, subject: &str, point: Point) {
        if point == Point::After && !self.holds_after {
            return;
        }
        let (permission, permitted) = oneshot::channel();
        let place = Place { stepper: self, id: self.enqueue(actor, operation, subject, point, permission) };
        // Without a stepper nobody could ever release the call, so it goes on.
        let _ = permitted.await;
        drop(place);
    }

    fn enqueue(
        &self,
        actor: &Arc<str>,
        operation: Operation,
        subject: &str,
        point: Point,
        permission: oneshot::Sender<()>,
    ) -> u64 {
        let mut queue = self.queue();
        queue.next += 1;
        let id = queue.next;
        let ticket = Ticket { id, actor: Arc::clone(actor), operation, subject: subject.to_owned(), point };
        queue.waiting.insert(id, (ticket, permission));
        id
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.stepper.queue().waiting.remove(&self.id);
    }
}
