//! What the clients were told, and whether the store may look as it does after that.
//!
//! An operation lasts from the first request it was granted to its answer. Two that overlap may have
//! happened in either order; one that failed or crashed may have happened at any time after it began, or
//! not at all.

use crate::invariants::World;
use crate::machine::Op;
use crate::words::{Blob, Label, Man, Repo};

/// One operation as it went.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) process: usize,
    pub(crate) op: Op,
    /// When its first request was granted.
    pub(crate) start: Option<u64>,
    /// When it was answered.
    pub(crate) end: Option<u64>,
    /// How: `None` while there is no answer.
    pub(crate) answer: Option<Answer>,
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// It worked.
    Acknowledged,
    /// It did not, for a reason a client can live with.
    Refused(String),
    /// A record or bytes were found damaged: never in order.
    Damaged(String),
}

impl Event {
    pub(crate) const fn new(process: usize, op: Op) -> Self {
        Self { process, op, start: None, end: None, answer: None }
    }

    pub(crate) fn is_acked(&self) -> bool {
        self.answer == Some(Answer::Acknowledged)
    }

    fn began(&self) -> u64 {
        self.start.or(self.end).unwrap_or(u64::MAX)
    }

    fn ended(&self) -> u64 {
        self.end.unwrap_or(u64::MAX)
    }

    /// Whether it may still have acted after `other` began.
    fn may_follow(&self, other: &Event) -> bool {
        self.ended() > other.began()
    }
}

/// Judges the end of a run.
pub(crate) fn judge(world: &World, events: &[Event]) -> Result<(), String> {
    for event in events {
        if let Some(Answer::Damaged(why)) = &event.answer {
            return Err(format!("process {} found at {:?}: {why}", event.process, event.op));
        }
    }
    judge_isolation(world, events)?;
    for repo in Repo::ALL {
        for label in Label::ALL {
            judge_tag(world, events, repo, label)?;
        }
        for man in Man::ALL {
            judge_manifest(world, events, repo, man)?;
            judge_referrer(world, events, repo, man)?;
        }
        judge_catalog(world, repo)?;
        for blob in Blob::ALL {
            judge_blob(world, events, repo, blob)?;
        }
    }
    Ok(())
}

/// A repository holds a link only to what somebody sent or mounted there.
fn judge_isolation(world: &World, events: &[Event]) -> Result<(), String> {
    for (&(repo, blob), link) in &world.links {
        let is_given = |event: &&Event| gives(event, events, repo, blob);
        if link.visible().is_some() && !events.iter().any(|event| is_given(&event)) {
            return Err(format!("{repo:?} holds {blob:?}, which nobody sent or mounted there"));
        }
    }
    Ok(())
}

/// A tag names what some push or delete left there that nothing acknowledged came after.
fn judge_tag(world: &World, events: &[Event], repo: Repo, label: Label) -> Result<(), String> {
    let now = world.current(repo, label);
    let pushed = |event: &Event| match &event.op {
        Op::Push(at, man, labels) if *at == repo && labels.contains(&label) => Some(*man),
        _ => None,
    };
    let clears = |event: &Event| match &event.op {
        Op::DeleteTag(at, which) => *at == repo && *which == label,
        Op::DeleteManifest(at, _) => *at == repo,
        _ => false,
    };
    let overwrites = |event: &Event| match (&event.op, now) {
        (Op::DeleteManifest(at, man), Some(now)) => *at == repo && *man == now,
        (Op::DeleteTag(..), Some(_)) => clears(event),
        _ => pushed(event).is_some_and(|man| Some(man) != now),
    };
    let last_at = |end: Option<u64>| {
        !events
            .iter()
            .any(|event| event.is_acked() && overwrites(event) && end.is_none_or(|end| event.began() > end))
    };
    let is_explained = match now {
        Some(man) => events.iter().any(|event| pushed(event) == Some(man) && last_at(Some(event.ended()))),
        None => last_at(None) || events.iter().any(|event| clears(event) && last_at(Some(event.ended()))),
    };
    if is_explained {
        return Ok(());
    }
    Err(format!("{label:?} of {repo:?} names {now:?}, against what was acknowledged"))
}

/// A manifest acknowledged after every delete is there; one deleted after every push is not.
fn judge_manifest(world: &World, events: &[Event], repo: Repo, man: Man) -> Result<(), String> {
    let pushes = |event: &Event| matches!(&event.op, Op::Push(at, it, _) if *at == repo && *it == man);
    let kills =
        |event: &Event| event.op == Op::DeleteManifest(repo, man) || event.op == Op::GcManifest(repo, man);
    let rescues = |event: &Event| match &event.op {
        Op::Push(at, it, _) => *at == repo && (*it == man || it.children().contains(&man)),
        Op::HeadManifest(at, it) => *at == repo && *it == man,
        _ => false,
    };
    let is_there = world.is_committed(repo, man);
    for event in events.iter().filter(|event| event.is_acked()) {
        let contested =
            |by: &dyn Fn(&Event) -> bool| events.iter().any(|other| by(other) && other.may_follow(event));
        if pushes(event) && !contested(&kills) && !is_there {
            return Err(format!("{man:?} was acknowledged in {repo:?} and is gone"));
        }
        if event.op == Op::DeleteManifest(repo, man) && !contested(&rescues) && is_there {
            return Err(format!("{man:?} was deleted from {repo:?} and is still there"));
        }
    }
    Ok(())
}

/// A referrer that is there is listed: always when its last push was acknowledged after every delete, and
/// whatever overlapped when every push was.
fn judge_referrer(world: &World, events: &[Event], repo: Repo, man: Man) -> Result<(), String> {
    if world.is_listed(repo, man) || !world.is_committed(repo, man) {
        return Ok(());
    }
    let is_push = |event: &&Event| matches!(&event.op, Op::Push(at, it, _) if *at == repo && *it == man);
    let kills =
        |event: &&Event| event.op == Op::DeleteManifest(repo, man) || event.op == Op::GcManifest(repo, man);
    let pushes = || events.iter().filter(is_push);
    let is_last = |push: &Event| !events.iter().filter(kills).any(|kill| kill.may_follow(push));
    if pushes().any(|push| push.is_acked() && is_last(push)) || pushes().all(Event::is_acked) {
        return Err(format!("{man:?} was acknowledged in {repo:?} and is not listed as a referrer"));
    }
    Ok(())
}

/// A repository with a manifest is in the catalog, whatever failed or crashed.
fn judge_catalog(world: &World, repo: Repo) -> Result<(), String> {
    let holds = Man::ALL.into_iter().any(|man| world.is_committed(repo, man));
    if holds && !world.is_in_catalog(repo) {
        return Err(format!("{repo:?} holds a manifest and is not in the catalog"));
    }
    Ok(())
}

/// A blob acknowledged after every collection is there; one deleted last is not.
fn judge_blob(world: &World, events: &[Event], repo: Repo, blob: Blob) -> Result<(), String> {
    let kills = |event: &Event| match &event.op {
        Op::GcLink(at, it) | Op::DeleteBlob(at, it) => *at == repo && *it == blob,
        Op::GcBlob(it) => *it == blob,
        _ => false,
    };
    let rescues = |event: &Event| match &event.op {
        Op::Head(at, it) | Op::HeadOrPut(at, it) => *at == repo && *it == blob,
        Op::Push(at, man, _) => *at == repo && man.blobs().contains(&blob),
        _ => gives(event, events, repo, blob),
    };
    for event in events.iter().filter(|event| event.is_acked()) {
        let contested =
            |by: &dyn Fn(&Event) -> bool| events.iter().any(|other| by(other) && other.may_follow(event));
        let is_promise = gives(event, events, repo, blob) || event.op == Op::Head(repo, blob);
        if is_promise && !contested(&kills) {
            world.check_held(repo, blob).map_err(|why| {
                format!("{blob:?} was acknowledged in {repo:?} by {:?}, but {why}", event.op)
            })?;
        }
        let is_visible = world.links.get(&(repo, blob)).is_some_and(|link| link.visible().is_some());
        if event.op == Op::DeleteBlob(repo, blob) && !contested(&rescues) && is_visible {
            return Err(format!("{blob:?} was deleted from {repo:?} and is still linked"));
        }
    }
    Ok(())
}

/// Whether an operation links a blob to a repository.
fn gives(event: &Event, events: &[Event], repo: Repo, blob: Blob) -> bool {
    match &event.op {
        Op::Put(at, it) | Op::HeadOrPut(at, it) | Op::Mount(at, _, it) => *at == repo && *it == blob,
        Op::Finish(slot, it, _) => *it == blob && opened_in(events, *slot) == Some(repo),
        // The bytes are another blob's: it never succeeds, unless the repository held the blob already.
        _ => false,
    }
}

fn opened_in(events: &[Event], slot: usize) -> Option<Repo> {
    events.iter().find_map(|event| match &event.op {
        Op::Open(at, repo) if *at == slot => Some(*repo),
        _ => None,
    })
}
