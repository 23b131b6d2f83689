//! Writes and deletes that name a condition.

use bytes::Bytes;
use futures_util::future::{join, join_all};

use super::counter;
use super::ground::{Ground, Shortfall, Tried, broken, version};
use crate::{ErrorKind, Key, PutMode, Result, StorageDriverExt, Version};

pub(super) async fn create_once(ground: &Ground<'_>) -> Tried {
    let key = ground.key("create-once")?;
    refuse_a_store_without_conditions(ground)?;
    ground.store.put(&key, Bytes::from_static(b"first"), PutMode::IfAbsent).await?;

    let second = ground.store.put(&key, Bytes::from_static(b"second"), PutMode::IfAbsent).await;

    must_lose(second, ErrorKind::AlreadyExists, "a put-if-absent over an object")?;
    ground.expect(&key, b"first", "a refused put").await
}

pub(super) async fn replace_unchanged(ground: &Ground<'_>) -> Tried {
    let (key, other, missing) =
        (ground.key("replace")?, ground.key("replace-other")?, ground.key("replace-missing")?);
    refuse_a_store_without_conditions(ground)?;
    let first = ground.version_of(&key, "first", PutMode::Overwrite).await?;
    let foreign = ground.version_of(&other, "other", PutMode::Overwrite).await?;

    let over = |key: &Key, body: &'static [u8], version| {
        let (key, mode) = (key.clone(), PutMode::IfMatch(version));
        async move { ground.store.put(&key, Bytes::from_static(body), mode).await }
    };
    let bogus = over(&key, b"bogus", foreign).await;
    must_lose(bogus, ErrorKind::Precondition, "a put over a version that never was")?;
    let second = replace(ground, &key, b"second", first.clone()).await?;
    if second == first {
        return broken("two contents of one object have the same version");
    }
    let stale = over(&key, b"stale", first).await;
    must_lose(stale, ErrorKind::Precondition, "a put over a version that is gone")?;
    let nothing = over(&missing, b"nothing", second.clone()).await;
    must_lose(nothing, ErrorKind::Precondition, "a put over a version where no object is")?;
    match ground.store.stat(&key).await?.version {
        Some(version) if version == second => ground.expect(&key, b"second", "refused puts").await,
        _ => broken("reading an object tells another version than writing it"),
    }
}

/// What is said of a store that refuses a put over the very version it names: it may compare versions in another
/// form than it tells them in.
pub const PRESENT_REFUSED: &str = "a put over the version that is there is refused";

/// Replaces the version that is there, which has to succeed.
async fn replace(
    ground: &Ground<'_>,
    key: &Key,
    content: &'static [u8],
    present: Version,
) -> std::result::Result<Version, Shortfall> {
    match ground.store.put(key, Bytes::from_static(content), PutMode::IfMatch(present)).await {
        Ok(meta) => version(meta),
        Err(error) if error.is_lost_condition() => match ground.store.read(key).await? {
            // It was repeated after a lost answer, and met itself.
            Some((found, _)) if found == content => Err(error.into()),
            _ => broken(PRESENT_REFUSED),
        },
        Err(error) => Err(error.into()),
    }
}

pub(super) async fn one_winner(ground: &Ground<'_>) -> Tried {
    refuse_a_store_without_conditions(ground)?;
    let (raced, counted) = join(races(ground), counter::count(ground)).await;
    raced.and(counted)
}

async fn races(ground: &Ground<'_>) -> Tried {
    for round in 0..ground.depth.rounds() {
        if round > 0 && !ground.has_time() {
            break;
        }
        let key = ground.key(&format!("race-{round}"))?;
        race(ground, &key, &PutMode::IfAbsent, "to create one object").await?;
        let Some(version) = ground.handle(round).stat(&key).await?.version else {
            return broken("an object has no version");
        };
        race(ground, &key, &PutMode::IfMatch(version), "to replace one version").await?;
    }
    Ok(())
}

/// Lets many write at once under one condition, by either handle.
async fn race(ground: &Ground<'_>, key: &Key, mode: &PutMode, prize: &str) -> Tried {
    let racers = ground.depth.racers();
    let body = |racer: usize| Bytes::from(format!("racer {racer}, {prize}"));
    let puts = (0..racers).map(|racer| ground.handle(racer).put(key, body(racer), mode.clone()));
    let mut winners = Vec::new();
    let mut failed = None;
    for (racer, answer) in join_all(puts).await.into_iter().enumerate() {
        match answer {
            Ok(_) => winners.push(racer),
            Err(error) if error.is_lost_condition() => {}
            Err(error) => failed = Some(error),
        }
    }
    match (winners.as_slice(), failed) {
        ([winner], _) => ground.expect(key, &body(*winner), "a race").await,
        // Whoever won may be the one who failed, or had its request repeated after a lost answer.
        ([], Some(error)) => Err(error.into()),
        ([], None) => match ground.store.read(key).await? {
            Some((found, _)) if (0..racers).any(|racer| found == body(racer)) => {
                Err(Shortfall::Unknown(format!("nobody was told to have won the race {prize}")))
            }
            _ => broken(format!("of {racers} puts that raced {prize} none won")),
        },
        (many, _) => broken(format!("of {racers} puts that raced {prize} {} won", many.len())),
    }
}

pub(super) async fn conditional_delete(ground: &Ground<'_>) -> Tried {
    let key = ground.key("delete-condition")?;
    if !ground.store.capabilities().conditional_delete {
        return Err(Shortfall::Undeclared);
    }
    let stale = ground.version_of(&key, "first", PutMode::Overwrite).await?;
    let present = ground.version_of(&key, "second", PutMode::Overwrite).await?;

    let refused = ground.store.delete(&key, Some(&stale)).await;

    must_lose(refused, ErrorKind::Precondition, "a delete of a version that is gone")?;
    ground.expect(&key, b"second", "a refused delete").await?;
    ground.store.delete(&key, Some(&present)).await?;
    match ground.store.stat_if_present(&key).await? {
        None => Ok(()),
        Some(_) => broken("an object is there after it was deleted"),
    }
}

fn refuse_a_store_without_conditions(ground: &Ground<'_>) -> Tried {
    match ground.store.capabilities().conditional_put {
        true => Ok(()),
        false => broken("the driver declares that the store knows no conditions"),
    }
}

/// Passes a refusal of the right kind, and tells an ignored condition from a failure.
fn must_lose<T>(answer: Result<T>, kind: ErrorKind, what: &str) -> Tried {
    match answer {
        Ok(_) => broken(format!("{what} is answered with success")),
        Err(error) if error.kind() == kind => Ok(()),
        Err(error) if error.is_lost_condition() || error.is_not_found() => {
            broken(format!("{what} is refused as {error}"))
        }
        Err(error) => Err(error.into()),
    }
}
