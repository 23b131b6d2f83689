//! One object that many count in, each increment by compare-and-swap.
//!
//! A race shows whether a store honours a condition. Counting shows whether it ever forgets one: hundreds of
//! writes follow each other closely, on one object, from both handles, and each that was acknowledged has to
//! be there at the end. So the object is no number but the list of who counted, and a lost increment has a name.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;

use super::ground::{Ground, Shortfall, Tried, broken};
use crate::{Error, Key, PutMode, SharedDriver, StorageDriverExt, Version};

/// After so many failures in a row a worker ends: the others tell enough, or nobody can.
const MOST_FAILURES: u32 = 10;
/// After so many refusals over a version that reads go on to show. A store that is only busy shows another soon;
/// one whose reads are late would be asked for ever.
const MOST_REFUSALS: u32 = 20;
/// For a store that limits how often one object may change.
const PAUSE: Duration = Duration::from_millis(100);

/// One increment: whose it is, and which of theirs.
type Increment = [u8; 2];

pub(super) async fn count(ground: &Ground<'_>) -> Tried {
    let (workers, each) = ground.depth.increments();
    if workers == 0 {
        return Ok(());
    }
    let key = ground.key("counter")?;
    ground.store.put(&key, Bytes::new(), PutMode::Overwrite).await?;

    let counted = (0..workers).map(|worker| {
        let handle = ground.handle(worker.into());
        Worker { ground, handle, key: &key, worker, settled: Vec::new() }.work(each)
    });
    let (acknowledged, failures): (Vec<_>, Vec<_>) = join_all(counted).await.into_iter().unzip();

    let acknowledged = acknowledged.concat();
    let Some((found, _)) = ground.store.read(&key).await? else {
        return broken("an object that many count in is gone");
    };
    if acknowledged.is_empty() {
        return match failures.into_iter().flatten().next() {
            Some(failure) => Err(failure.into()),
            None if ground.is_cut_short() => Ok(()),
            None => Err(Shortfall::Unknown("nobody could count in one object".into())),
        };
    }
    judge(&found, &acknowledged)
}

/// Whether all that were acknowledged are there, and nobody's twice. One that is there and was not is a write whose
/// answer was lost to a worker that had ended.
fn judge(found: &[u8], acknowledged: &[Increment]) -> Tried {
    let mut found: Vec<&[u8]> = found.chunks(size_of::<Increment>()).collect();
    found.sort_unstable();
    let lost = acknowledged.iter().filter(|increment| found.binary_search(&&increment[..]).is_err()).count();
    if lost > 0 {
        return broken(format!(
            "of {} increments that were acknowledged {lost} are lost: a conditional put replaced a version it did not name",
            acknowledged.len()
        ));
    }
    match found.windows(2).any(|pair| pair[0] == pair[1]) {
        true => broken("a conditional put was applied twice"),
        false => Ok(()),
    }
}

struct Worker<'a> {
    ground: &'a Ground<'a>,
    handle: &'a SharedDriver,
    key: &'a Key,
    worker: u8,
    settled: Vec<Increment>,
}

impl Worker<'_> {
    /// Counts as far as time and store allow. Answers what was acknowledged, and why it ended early.
    async fn work(mut self, each: u8) -> (Vec<Increment>, Option<Error>) {
        let (mut failures, mut refusals) = (0, 0);
        let mut tried: Option<Version> = None;
        let mut next = 0;
        while next < each && refusals < MOST_REFUSALS && self.ground.has_time() {
            let step = self.step([self.worker, next], tried.as_ref()).await;
            (failures, refusals) = match &step {
                Ok(Step::Repeated) => (0, refusals + 1),
                Ok(_) => (0, 0),
                Err(_) => (failures + 1, refusals),
            };
            match step {
                Ok(Step::Counted(increment)) => {
                    self.settled.push(increment);
                    (next, tried) = (next + 1, None);
                }
                Ok(Step::Refused(version)) => tried = Some(version),
                Ok(Step::Repeated) => {}
                Err(error) if failures >= MOST_FAILURES => return (self.settled, Some(error)),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
        (self.settled, None)
    }

    /// Reads, and writes what was read with one more. A write whose answer was lost, or that met itself when it was
    /// repeated, is found by the read that follows, as records of the registry find theirs.
    async fn step(&self, increment: Increment, tried: Option<&Version>) -> Result<Step, Error> {
        let Some((found, meta)) = self.handle.read(self.key).await? else { return Ok(Step::Repeated) };
        if found.chunks(size_of::<Increment>()).any(|known| known == increment) {
            return Ok(Step::Counted(increment));
        }
        let Some(version) = meta.version else { return Ok(Step::Repeated) };
        let body = Bytes::from([&found[..], &increment].concat());
        match self.handle.put(self.key, body, PutMode::IfMatch(version.clone())).await {
            Ok(_) => Ok(Step::Counted(increment)),
            Err(error) if error.is_lost_condition() && tried == Some(&version) => Ok(Step::Repeated),
            Err(error) if error.is_lost_condition() => Ok(Step::Refused(version)),
            Err(error) => Err(error),
        }
    }
}

/// What came of one try.
enum Step {
    /// The increment is in the object.
    Counted(Increment),
    /// Somebody else was faster.
    Refused(Version),
    /// The version that was refused is shown again.
    Repeated,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(found: &[u8], acknowledged: &[Increment]) -> String {
        match judge(found, acknowledged) {
            Err(Shortfall::Broken(what)) => what,
            _ => "well".to_owned(),
        }
    }

    #[test]
    fn what_was_acknowledged_has_to_be_there_once() {
        let both = [[0, 0], [1, 0]];

        assert_eq!(said(&[1, 0, 0, 0], &both), "well");
        assert_eq!(said(&[1, 0, 0, 0, 2, 0], &both), "well", "one whose answer was lost");
        assert!(said(&[1, 0], &both).starts_with("of 2 increments that were acknowledged 1 are lost"));
        assert_eq!(said(&[1, 0, 0, 0, 1, 0], &both), "a conditional put was applied twice");
    }
}
