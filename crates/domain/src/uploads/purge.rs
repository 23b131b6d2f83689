//! The expiry as replicas run it by themselves: one of them at a time, and not over everything each time.
//!
//! Nothing rests on this but cost: runs beside each other are safe, and what one passes over the next finds
//! that looks at everything.

use std::time::{Duration, UNIX_EPOCH};

use entrepot_storage::Version;

use super::expire::{Expired, Expiry, Plan, Reach, Run};
use crate::error::{Error, Result};
use crate::layout;
use crate::record::{PurgeRecord, Slot, Swap};
use crate::registry::{Inner, Registry};

/// How often all bytes are looked at, however old: the daily runs pass over what became an orphan late, as
/// bytes do whose session went on for long, and what could not be deleted when it was young.
const EVERYTHING_EVERY: Duration = Duration::from_secs(30 * 24 * 3600);

/// How much further back a run looks than to the one before it. Bytes of a session that was still alive
/// then may have become orphans since.
const OVERLAP: Duration = Duration::from_secs(2 * 24 * 3600);

impl Registry {
    /// Runs the expiry, unless a replica has begun to within nine tenths of `every`: `None` then, after one
    /// read. `None` as well while everything is read-only. A dry run changes nothing and so asks neither.
    ///
    /// Fails as [`Registry::expire`] does.
    pub async fn purge(&self, expiry: &Expiry, every: Duration) -> Result<Option<Expired>> {
        if self.is_read_only_everywhere() && !expiry.dry_run {
            return Ok(None);
        }
        let inner = &self.0;
        let found = inner.last_purge(expiry).await?;
        let last = found.record.unwrap_or_default();
        let now = inner.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let plan = plan(&last, now, expiry, every);
        if expiry.dry_run {
            let run = inner.run(plan).await;
            return run.outcome.map(|()| Some(run.done));
        }
        // A time far ahead was written by a clock that was wrong, and must not end the purges for good.
        if Duration::from_secs(now.abs_diff(last.begun)) < every / 10 * 9 {
            return Ok(None);
        }
        let claimed = PurgeRecord { begun: now, ..last };
        let Swap::Won(version) = inner.swap(&layout::purge(), found.version.as_ref(), &claimed).await? else {
            return Ok(None);
        };
        let run = inner.run(plan).await;
        let over = match run.looked {
            true => claimed.after_a_look(now, plan.reach),
            // Others need not wait for the time this one would have taken.
            false => last,
        };
        if let Err(error) = inner.tell_of_purge(&version, over, &run, plan.reach).await {
            tracing::warn!(%error, "what was purged could not be noted, and will be looked at again");
        }
        run.outcome.map(|()| Some(run.done))
    }
}

impl Inner {
    /// One that cannot be read says nothing, and is written anew: nothing but cost rests on it.
    async fn last_purge(&self, expiry: &Expiry) -> Result<Slot<PurgeRecord>> {
        match self.load(&layout::purge()).await {
            Err(error @ Error::Record { .. }) => {
                tracing::warn!(%error, "when old uploads were purged last is not known any more");
                if !expiry.dry_run {
                    self.store.delete(&layout::purge(), None).await?;
                }
                Ok(Slot::absent())
            }
            found => found,
        }
    }

    /// A run that took so long that another began tells that one's record what it looked at.
    async fn tell_of_purge(
        &self,
        version: &Version,
        over: PurgeRecord,
        run: &Run,
        reach: Reach,
    ) -> Result<()> {
        let Swap::Lost(now) = self.swap(&layout::purge(), Some(version), &over).await? else { return Ok(()) };
        if let Some(record) = now.record.filter(|_| run.looked) {
            let both = record.after_a_look(over.begun, reach);
            self.swap(&layout::purge(), now.version.as_ref(), &both).await?;
        }
        Ok(())
    }
}

impl PurgeRecord {
    /// What is known once a run that began then has looked so far. What lies behind the last beginning was
    /// written by a clock that was wrong.
    fn after_a_look(self, begun: u64, reach: Reach) -> Self {
        let latest = |time: Option<u64>, now: Option<u64>| time.filter(|&time| time <= self.begun).max(now);
        let everything = (reach == Reach::Everything).then_some(begun);
        Self {
            looked: latest(self.looked, Some(begun)),
            looked_at_everything: latest(self.looked_at_everything, everything),
            ..self
        }
    }
}

fn plan<'a>(last: &PurgeRecord, now: u64, expiry: &'a Expiry, every: Duration) -> Plan<'a> {
    let since = |time: Option<u64>| time.and_then(|time| now.checked_sub(time)).map(Duration::from_secs);
    let next = expiry.orphans + every + OVERLAP;
    match (since(last.looked), since(last.looked_at_everything)) {
        (Some(looked), Some(everything)) if everything < EVERYTHING_EVERY => {
            let age = expiry.orphans + looked + OVERLAP;
            Plan { expiry, reach: Reach::Younger(age), tombstones: next.max(age) }
        }
        _ => Plan { expiry, reach: Reach::Everything, tombstones: next },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 24 * 3600;

    #[test]
    fn everything_is_looked_at_at_first_and_once_a_month() {
        let orphans = Duration::from_secs(8 * DAY);
        let expiry = Expiry { sessions: orphans, orphans, dry_run: false };
        let reach = |looked, looked_at_everything| {
            let last = PurgeRecord { begun: 0, looked, looked_at_everything };
            plan(&last, 100 * DAY, &expiry, Duration::from_secs(DAY)).reach
        };
        let younger = |days| Reach::Younger(Duration::from_secs(days * DAY));

        assert_eq!(reach(None, None), Reach::Everything);
        assert_eq!(reach(Some(99 * DAY), Some(90 * DAY)), younger(8 + 1 + 2));
        // Nobody ran for a week.
        assert_eq!(reach(Some(93 * DAY), Some(90 * DAY)), younger(8 + 7 + 2));
        assert_eq!(reach(Some(99 * DAY), Some(70 * DAY)), Reach::Everything);
        // Written by a clock that was wrong.
        assert_eq!(reach(Some(101 * DAY), Some(90 * DAY)), Reach::Everything);
    }

    #[test]
    fn a_tombstone_stays_for_as_long_as_its_bytes_are_looked_at() {
        let days = |days| Duration::from_secs(days * DAY);
        let expiry = Expiry { sessions: days(2), orphans: days(2), dry_run: false };
        let kept = |looked, looked_at_everything| {
            let last = PurgeRecord { begun: 0, looked, looked_at_everything };
            plan(&last, 100 * DAY, &expiry, days(1)).tombstones
        };

        // The next run looks at bytes of up to five days, and whoever lies under a tombstone is older than it.
        assert_eq!(kept(None, None), days(2 + 1 + 2));
        assert_eq!(kept(Some(99 * DAY), Some(90 * DAY)), days(2 + 1 + 2));
        assert_eq!(kept(Some(93 * DAY), Some(90 * DAY)), days(2 + 7 + 2), "nobody ran for a week");
    }
}
