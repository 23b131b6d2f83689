//! Finding out by trying whether a store keeps the promises of [`StorageDriver`](crate::StorageDriver).
//!
//! What a driver declares is what its vendor promises; what answers at the address may be something else:
//! an older release, a gateway, a cache. A store that ignores a condition answers 200 like every other,
//! and loses a push months later. So the promises are tried on the store itself, below a prefix the caller
//! gives. [`at_start`] tries the few that data rests on, in some fifty small requests. [`run`] tries all, in
//! some thousands, and [`across`] by two handles in turn, as two replicas would.
//!
//! A start does less, because every replica makes one, at each update and after each crash, and serves nothing
//! before it is done: it has to take a second, not a minute. So it finds a store that does not
//! know a promise at all, which is what a wrong release, a gateway or a wrong kind of account looks like. It has one
//! handle, six writers that race once, and nobody counts: that a store loses one update in a hundred, or shows a
//! replica what another one changed only later, is found by the thorough run.
//!
//! A probe judges nothing: it tells what holds, what does not and what could not be found out, and
//! leaves to the caller what follows from it. It finds what is usual for a store, not what is rare:
//! a promise that held here may still be broken under load.

mod conditions;
mod consistency;
mod counter;
mod ground;
mod report;
mod uploads;

use std::pin::Pin;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;

use crate::SharedDriver;

pub use conditions::PRESENT_REFUSED;
pub use consistency::DIRECTORIES_LISTED;
pub use report::{Check, ClockOffset, Outcome, Promise, Report};

use ground::{Depth, Ground, Tried};

/// How long each check of [`at_start`] may take; they run side by side, so all of them take that long at
/// most, and the cleaning up as long again.
pub const QUICK_DEADLINE: Duration = Duration::from_secs(20);
/// The same for [`run`].
pub const THOROUGH_DEADLINE: Duration = Duration::from_secs(90);

type Running<'a> = Pin<Box<dyn Future<Output = Tried> + Send + 'a>>;
type Trying = for<'a> fn(&'a Ground<'a>) -> Running<'a>;

/// What data rests on, and the clock.
const QUICK: [(Promise, Trying); 7] = [
    (Promise::CreateOnce, |ground| Box::pin(conditions::create_once(ground))),
    (Promise::ReplaceUnchanged, |ground| Box::pin(conditions::replace_unchanged(ground))),
    (Promise::OneWinner, |ground| Box::pin(conditions::one_winner(ground))),
    (Promise::ReadAfterWrite, |ground| Box::pin(consistency::read_after_write(ground))),
    (Promise::ListAfterWrite, |ground| Box::pin(consistency::list_after_write(ground))),
    (Promise::PartsByTag, |ground| Box::pin(uploads::parts_by_tag(ground))),
    (Promise::Clock, |ground| Box::pin(consistency::clock(ground))),
];

/// The rest.
const THOROUGH: [(Promise, Trying); 7] = [
    (Promise::ListOrder, |ground| Box::pin(consistency::list_order(ground))),
    (Promise::Ranges, |ground| Box::pin(consistency::ranges(ground))),
    (Promise::PartsJoin, |ground| Box::pin(uploads::parts_join(ground))),
    (Promise::CompleteTwice, |ground| Box::pin(uploads::complete_twice(ground))),
    (Promise::AbortFrees, |ground| Box::pin(uploads::abort_frees(ground))),
    (Promise::ConditionalDelete, |ground| Box::pin(conditions::conditional_delete(ground))),
    (Promise::Presign, |ground| Box::pin(consistency::presign(ground))),
];

/// Tries everything on `store` with objects whose keys begin with `prefix`, and removes them.
///
/// `prefix` ends with a slash and is nobody else's, now and later. `now` is our clock, which the store's
/// is held against. Never fails: what went wrong stands in the report.
pub async fn run(store: &SharedDriver, prefix: &str, now: fn() -> SystemTime) -> Report {
    across([store, store], prefix, now).await
}

/// As [`run`], by two handles on one store that share nothing: what one writes the other reads and lists, and
/// both race for the same objects.
pub async fn across(handles: [&SharedDriver; 2], prefix: &str, now: fn() -> SystemTime) -> Report {
    let checks = [&QUICK[..], &THOROUGH[..]].concat();
    let ground = Ground::new(handles, prefix, now, Depth::Thorough, THOROUGH_DEADLINE);
    ground.try_all(&checks, THOROUGH_DEADLINE).await
}

/// As [`run`], with the few checks that each start can afford.
pub async fn at_start(store: &SharedDriver, prefix: &str, now: fn() -> SystemTime) -> Report {
    let ground = Ground::new([store, store], prefix, now, Depth::Quick, QUICK_DEADLINE);
    ground.try_all(&QUICK, QUICK_DEADLINE).await
}

impl Ground<'_> {
    async fn try_all(&self, checks: &[(Promise, Trying)], deadline: Duration) -> Report {
        let each = checks.iter().map(|(promise, trying)| async move {
            let outcome = match tokio::time::timeout(deadline, trying(self)).await {
                Ok(tried) => tried.into(),
                Err(_) => Outcome::Unknown(format!("not done within {} s", deadline.as_secs())),
            };
            Check { promise: *promise, outcome }
        });
        let mut checks = join_all(each).await;
        let removed = match tokio::time::timeout(deadline, self.clean_up()).await {
            Ok(tried) => tried.into(),
            Err(_) => Outcome::Unknown(format!("not done within {} s", deadline.as_secs())),
        };
        checks.push(Check { promise: Promise::Deletes, outcome: removed });
        Report { checks, clock: self.clock(), is_cut_short: self.is_cut_short() }
    }
}
