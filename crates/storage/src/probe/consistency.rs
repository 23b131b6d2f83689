//! What reads and listings show, and the clock.

use std::time::Duration;

use bytes::Bytes;

use super::ground::{Ground, Shortfall, Tried, broken};
use super::{ClockOffset, QUICK_DEADLINE};
use crate::{PresignOptions, ReadRange, StorageDriverExt};

/// Names whose order differs between bytes and every collation, without one being a directory of another.
const ORDERED: [&str; 7] = ["A", "Z", "a", "a!b", "a-b", "a.b", "b"];

pub(super) async fn read_after_write(ground: &Ground<'_>) -> Tried {
    let key = ground.key("read")?;
    for round in 0..ground.depth.rounds() {
        let content = |what: &str| Bytes::from(format!("{what} {round}"));
        // Asking first is what fills a cache of absences.
        if ground.store.stat_if_present(&key).await?.is_some() {
            return broken("a read shows an object after its deletion");
        }
        for what in ["created", "replaced"] {
            ground.write(&key, content(what)).await?;
            ground.expect(&key, &content(what), "a write").await?;
        }
        ground.store.delete(&key, None).await?;
        if ground.store.read(&key).await?.is_some() {
            return broken("a read shows an object after its deletion");
        }
    }
    Ok(())
}

pub(super) async fn list_after_write(ground: &Ground<'_>) -> Tried {
    for round in 0..ground.depth.rounds() {
        let key = ground.key(&format!("list/{round}"))?;
        let is_listed = || async {
            let page = ground.store.list(key.as_str(), None, 10).await?;
            Ok::<_, Shortfall>(page.objects.iter().any(|meta| meta.key == key))
        };
        if is_listed().await? {
            return broken("a listing shows an object before it was written");
        }
        ground.write(&key, "listed").await?;
        if !is_listed().await? {
            return broken("a listing does not show an object that was just written");
        }
        ground.store.delete(&key, None).await?;
        if is_listed().await? {
            return broken("a listing shows an object that was just deleted");
        }
    }
    Ok(())
}

pub(super) async fn list_order(ground: &Ground<'_>) -> Tried {
    for name in ORDERED.iter().rev() {
        ground.write(&ground.key(&format!("order/{name}"))?, *name).await?;
    }
    let prefix = format!("{}order/", ground.prefix);
    let mut names: Vec<String> = Vec::new();
    loop {
        let start = names.last().map(|name| format!("{prefix}{name}"));
        let page = ground.store.list(&prefix, start.as_deref(), 3).await?;
        if page.objects.len() > 3 {
            return broken("a listing is longer than it was asked for");
        }
        names.extend(page.objects.iter().map(|meta| meta.key.as_str()[prefix.len()..].to_owned()));
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
        None => broken("no URL is signed, though the driver declares it"),
    }
}
