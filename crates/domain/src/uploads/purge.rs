//! The expiry as replicas run it by themselves: one of them at a time, and not over everything each time.
//!
//! Nothing rests on this but cost: runs beside each other are safe, and what one passes over the next finds
//! that looks at everything.

use std::time::{Duration, UNIX_EPOCH};

use super::expire::{Expired, Expiry, Reach};
use crate::error::Result;
use crate::layout;
use crate::record::{PurgeRecord, Swap};
use crate::registry::Registry;

/// How often all bytes are looked at, however old: a replica that was killed while it deleted a blob may have
/// left some that were no longer young.
const EVERYTHING_EVERY: Duration = Duration::from_secs(30 * 24 * 3600);

/// How much further back a run looks than to the one before it. Bytes of a session that was still alive
/// then may have become orphans since.
const OVERLAP: Duration = Duration::from_secs(2 * 24 * 3600);

impl Registry {
    /// Runs the expiry, unless a replica has begun to within nine tenths of `every`: `None` then, after one
    /// read. A dry run asks nobody and tells nobody.
    pub async fn purge(&self, expiry: &Expiry, every: Duration) -> Result<Option<Expired>> {
        let inner = &self.0;
        let key = layout::purge();
        let found = inner.load::<PurgeRecord>(&key).await?;
        let last = found.record.unwrap_or_default();
        let now = inner.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if expiry.dry_run {
            return self.expire(expiry, reach(&last, now, expiry)).await.map(Some);
        }
        // A time far ahead was written by a clock that was wrong, and must not end the purges for good.
        if Duration::from_secs(now.abs_diff(last.begun)) < every / 10 * 9 {
            return Ok(None);
        }
        let begun = PurgeRecord { begun: now, ..last };
        let Swap::Won(version) = inner.swap(&key, found.version.as_ref(), &begun).await? else {
            return Ok(None);
        };
        let reach = reach(&last, now, expiry);
        let done = self.expire(expiry, reach).await?;
        let over = PurgeRecord {
            looked: Some(now),
            looked_at_everything: if reach == Reach::Everything {
                Some(now)
            } else {
                last.looked_at_everything
            },
            ..begun
        };
        // Lost to a run that began because this one took so long: it will tell for itself.
        inner.swap(&key, Some(&version), &over).await?;
        Ok(Some(done))
    }
}

fn reach(last: &PurgeRecord, now: u64, expiry: &Expiry) -> Reach {
    let since = |time: Option<u64>| time.and_then(|time| now.checked_sub(time)).map(Duration::from_secs);
    match (since(last.looked), since(last.looked_at_everything)) {
        (Some(looked), Some(everything)) if everything < EVERYTHING_EVERY => {
            Reach::Younger(expiry.orphans + looked + OVERLAP)
        }
        _ => Reach::Everything,
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
        let reach = |looked, everything| {
            let last = PurgeRecord { begun: 0, looked, looked_at_everything: everything };
            reach(&last, 100 * DAY, &expiry)
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
}
