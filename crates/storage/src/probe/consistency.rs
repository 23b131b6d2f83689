//! What reads and listings show, and the clock.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;

use super::ground::{Depth, Ground, Shortfall, Tried, broken};
use super::{ClockOffset, QUICK_DEADLINE};
use crate::{Key, PresignOptions, PutMode, ReadRange, SharedDriver, StorageDriverExt};

/// Names whose order differs between bytes and every collation, without one being a directory of another; and one
/// in a directory.
const ORDERED: [&str; 8] = ["A", "Z", "a", "a!b", "a-b", "a.b", "b", "d/e"];

/// What is said of a store that shows a directory beside what lies in it. Whoever lists such a store counts objects
/// nobody wrote, and one whose name is that of a directory cannot be written at all.
pub const DIRECTORIES_LISTED: &str = "a listing shows directories among objects";

pub(super) async fn read_after_write(ground: &Ground<'_>) -> Tried {
    let key = ground.key("read")?;
    for round in 0..ground.depth.rounds() {
        if round > 0 && !ground.has_time() {
            break;
        }
        let (writer, reader) = (ground.handle(round), ground.handle(round + 1));
        let content = |what: &str| Bytes::from(format!("{what} {round}"));
        // Asking first is what fills a cache of absences.
        if reader.stat_if_present(&key).await?.is_some() {
            return broken("a read shows an object after its deletion");
        }
        for what in ["created", "replaced"] {
            writer.put(&key, content(what), PutMode::Overwrite).await?;
            Ground::expect_by(reader, &key, &content(what), "a write").await?;
        }
        writer.delete(&key, None).await?;
        if reader.read(&key).await?.is_some() {
            return broken("a read shows an object after its deletion");
        }
    }
    Ok(())
}

pub(super) async fn list_after_write(ground: &Ground<'_>) -> Tried {
    if ground.depth == Depth::Quick {
        // Where every listing shows it, if directories are shown. The thorough run has `list_order` for it.
        ground.write(&ground.key("list/d/e")?, "in a directory").await?;
    }
    let (lanes, rounds) = ground.depth.listings();
    let each = (0..lanes).map(|lane| async move {
        let names = (0..rounds.min(NAMES)).map(|name| ground.key(&format!("list/{lane}-{name}")));
        let keys: Vec<Key> = names.collect::<Result<_, _>>()?;
        for round in 0..rounds {
            if round > 0 && !ground.has_time() {
                break;
            }
            // By another handle than wrote the key when it was used before, and some lanes the other way round.
            let turn = lane + round + round / NAMES;
            let (writer, lister) = (ground.handle(turn), ground.handle(turn + 1));
            list_one(&ground.directory("list"), &keys[round % NAMES], writer, lister).await?;
        }
        Ok(())
    });
    join_all(each).await.into_iter().collect()
}

/// How many keys one lane of [`list_after_write`] writes and deletes again and again.
const NAMES: usize = 10;

/// Writes and deletes `key` by one handle, and looks for it by another.
async fn list_one(directory: &str, key: &Key, writer: &SharedDriver, lister: &SharedDriver) -> Tried {
    let is_listed = || async {
        let page = lister.list(directory, None, 100).await?;
        if page.objects.iter().any(|meta| meta.key.as_str() == format!("{directory}d")) {
            return broken(DIRECTORIES_LISTED);
        }
        Ok(page.objects.iter().any(|meta| meta.key == *key))
    };
    if is_listed().await? {
        return broken("a listing shows an object before it was written");
    }
    writer.put(key, Bytes::from_static(b"listed"), PutMode::Overwrite).await?;
    if !is_listed().await? {
        return broken("a listing does not show an object that was just written");
    }
    writer.delete(key, None).await?;
    if is_listed().await? {
        return broken("a listing shows an object that was just deleted");
    }
    Ok(())
}

pub(super) async fn list_order(ground: &Ground<'_>) -> Tried {
    for name in ORDERED.iter().rev() {
        ground.write(&ground.key(&format!("order/{name}"))?, *name).await?;
    }
    let prefix = ground.directory("order");
    let mut names: Vec<String> = Vec::new();
    loop {
        let start = names.last().map(|name| format!("{prefix}{name}"));
        let page = ground.store.list(&prefix, start.as_deref(), 3).await?;
        if page.objects.len() > 3 {
            return broken("a listing is longer than it was asked for");
        }
        names.extend(page.objects.iter().map(|meta| meta.key.as_str()[prefix.len()..].to_owned()));
        if names.iter().any(|name| name == "d") {
            return broken(DIRECTORIES_LISTED);
        }
        if names.len() > ORDERED.len() || !names.is_sorted() {
            return broken(format!("keys are listed as {}", names.join(" ")));
        }
        if !page.more || page.objects.is_empty() {
            break;
        }
    }
    if names != ORDERED {
        return broken(format!("keys are listed as {}", names.join(" ")));
    }
    let between = ground.store.list(&prefix, Some(&format!("{prefix}a!")), 1).await?;
    match between.objects.first() {
        Some(meta) if meta.key.as_str().ends_with("/a!b") => Ok(()),
        _ => broken("a listing that starts between two keys does not begin at the next one"),
    }
}

pub(super) async fn ranges(ground: &Ground<'_>) -> Tried {
    let key = ground.key("range")?;
    ground.write(&key, "0123456789").await?;
    for (range, expected) in
        [(ReadRange::Bounded(2..5), "234"), (ReadRange::From(7), "789"), (ReadRange::Suffix(1), "9")]
    {
        let object = ground.store.get(&key, range.clone()).await?;
        if object.body.into_bytes().await? != expected {
            return broken(format!("a read of {range:?} answers other bytes"));
        }
    }
    Ok(())
}

pub(super) async fn clock(ground: &Ground<'_>) -> Tried {
    let key = ground.key("clock")?;
    let before = (ground.now)();
    ground.write(&key, "tick").await?;
    let after = (ground.now)();
    let Some(modified) = ground.store.stat(&key).await?.modified else {
        return Err(Shortfall::Unknown("the store does not tell when an object was written".into()));
    };
    let offset = ClockOffset::between(before, after, modified);
    ground.found_clock(offset);
    if offset.size() > ClockOffset::TOLERABLE { broken(offset.to_string()) } else { Ok(()) }
}

pub(super) async fn presign(ground: &Ground<'_>) -> Tried {
    if !ground.store.capabilities().presign {
        return Err(Shortfall::Undeclared);
    }
    let options = PresignOptions {
        signed_at: (ground.now)(),
        expires_in: QUICK_DEADLINE.max(Duration::from_secs(60)),
        content_type: None,
    };
    let key = ground.key("presign")?;
    match ground.store.presign_get(&key, &options).await? {
        Some(signed) if signed.expires_at > options.signed_at => Ok(()),
        Some(_) => broken("a URL is signed that has expired"),
        // Asked again later it may: nothing is known.
        None => Err(Shortfall::Unknown(
            "no URL is signed: whoever has to was asked a moment ago, and did not".into(),
        )),
    }
}
