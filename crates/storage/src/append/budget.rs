//! The bound on what all appenders together hold in memory.
//!
//! Memory is reserved before a byte of it is used, and all that one part can need at once: whoever waits
//! for a part's memory holds nothing but parts on their way to the store, which need no more to arrive,
//! and the beginning of this one. Beginnings have a share of their own, so that many small bodies do not
//! wait behind few large ones, and so that no two uploads can wait for each other.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::block::Idle;
use crate::{Error, ErrorKind, Result};

/// Memory is accounted in steps of this many bytes.
const STEP: u64 = 16 * 1024;
/// What a body may hold before a whole part is reserved for it. Most bodies are no longer.
pub(super) const BEGINNING: u64 = 64 * 1024;
/// One part in so many of the budget is for beginnings.
const SHARE_OF_BEGINNINGS: u64 = 8;

/// A bound on the bytes all appenders together hold in memory. Clones share it.
#[derive(Clone, Debug)]
pub struct PartBudget {
    beginnings: Share,
    parts: Share,
    patience: Duration,
    pub(super) idle: Arc<Idle>,
}

#[derive(Clone, Debug)]
struct Share {
    steps: Arc<Semaphore>,
    /// How many there are: what asks for more takes all of them.
    total: u32,
}

/// Memory that may be used until this is dropped.
pub(super) type Reservation = OwnedSemaphorePermit;

impl PartBudget {
    /// A budget of `bytes`; an append that finds it used up waits for `patience` and then fails with
    /// [`ErrorKind::Throttled`]. A part larger than the whole budget takes all of it.
    pub fn new(bytes: u64, patience: Duration) -> Self {
        let beginnings = (bytes / SHARE_OF_BEGINNINGS).max(BEGINNING);
        Self {
            beginnings: Share::of(beginnings),
            parts: Share::of(bytes.saturating_sub(beginnings)),
            patience,
            idle: Arc::new(Idle::up_to(bytes)),
        }
    }

    /// Room for the beginning of a body.
    pub(super) async fn beginning(&self, driver: &'static str) -> Result<Reservation> {
        self.take(&self.beginnings, BEGINNING, driver).await
    }

    /// Room for a part of `bytes`.
    pub(super) async fn part(&self, bytes: u64, driver: &'static str) -> Result<Reservation> {
        self.take(&self.parts, bytes, driver).await
    }

    async fn take(&self, share: &Share, bytes: u64, driver: &'static str) -> Result<Reservation> {
        let wanted = u32::try_from(bytes.div_ceil(STEP)).unwrap_or(u32::MAX).min(share.total);
        let steps = || Arc::clone(&share.steps);
        if let Ok(held) = steps().try_acquire_many_owned(wanted) {
            return Ok(held);
        }
        match tokio::time::timeout(self.patience, steps().acquire_many_owned(wanted)).await {
            Ok(Ok(held)) => Ok(held),
            Ok(Err(_)) | Err(_) => Err(used_up(driver)),
        }
    }
}

fn used_up(driver: &'static str) -> Error {
    let kind = ErrorKind::Throttled { retry_after: Some(Duration::from_secs(2)) };
    Error::new(driver, kind).because("all upload memory is in use")
}

impl Share {
    fn of(bytes: u64) -> Self {
        let total = u32::try_from(bytes / STEP).unwrap_or(u32::MAX).max(1);
        let steps = usize::try_from(total).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { steps: Arc::new(Semaphore::new(steps)), total }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn impatient(bytes: u64) -> PartBudget {
        PartBudget::new(bytes, Duration::ZERO)
    }

    fn now<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
    }

    #[test]
    fn beginnings_and_parts_do_not_wait_for_each_other() {
        now(async {
            let budget = impatient(8 * MIB);
            let parts = budget.part(7 * MIB, "test").await.unwrap();
            let mut beginnings = Vec::new();
            while let Ok(beginning) = budget.beginning("test").await {
                beginnings.push(beginning);
            }

            assert_eq!(beginnings.len() as u64 * BEGINNING, MIB);
            drop(parts);
            assert!(budget.part(7 * MIB, "test").await.is_ok());
        });
    }

    #[test]
    fn a_used_up_budget_asks_to_come_back() {
        now(async {
            let budget = impatient(8 * MIB);
            let _held = budget.part(4 * MIB, "test").await.unwrap();

            let refused = budget.part(4 * MIB, "test").await.unwrap_err();

            assert!(matches!(refused.kind(), ErrorKind::Throttled { retry_after: Some(_) }));
            assert!(budget.part(3 * MIB, "test").await.is_ok());
        });
    }

    #[test]
    fn a_part_larger_than_the_budget_takes_all_of_it() {
        now(async {
            let budget = impatient(2 * MIB);

            let held = budget.part(5 * MIB, "test").await.unwrap();

            assert!(budget.part(1, "test").await.is_err());
            drop(held);
            assert!(budget.part(1, "test").await.is_ok());
        });
    }
}
