//! Writing and reading whole objects.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;

use super::trial::{Trial, assert_same, pattern};
use crate::{Body, PutMode, ReadRange, StorageDriverExt};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

pub(super) async fn capabilities_are_consistent_and_constant(trial: Trial) {
    let declared = *trial.driver.capabilities();

    assert!(declared.min_part >= 1 && declared.min_part <= declared.preferred_part);
    assert!(declared.preferred_part <= declared.max_part);
    assert!(declared.max_parts >= 1 && declared.parallel_parts >= 1 && declared.delete_batch >= 1);
    trial.put(&trial.key("a"), &pattern(1, 10)).await;
    assert_eq!(*trial.driver.capabilities(), declared);
    assert_eq!(*trial.other.capabilities(), declared);
}

pub(super) async fn the_chain_names_its_driver(trial: Trial) {
    assert!(trial.driver.to_string().contains(trial.driver.name()), "{}", trial.driver);
}

pub(super) async fn a_missing_object_is_not_found(trial: Trial) {
    trial.put(&trial.key("near"), &pattern(1, 10)).await;

    trial.assert_absent(&trial.key("nea")).await;
    trial.assert_absent(&trial.key("near2")).await;
    trial.assert_absent(&trial.key("deep/below/nothing")).await;
}

pub(super) async fn what_was_put_is_read_back_byte_for_byte(trial: Trial) {
    for (seed, length) in
        (0..).zip([0, 1, 4095, 4096, 4097, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, MIB + 3])
    {
        let key = trial.key(&format!("size-{length}"));
        let content = pattern(seed, length);

        let written = trial.put(&key, &content).await;

        assert_eq!((&written.key, written.size), (&key, length as u64));
        assert_same(&trial.read(&key).await.expect("it was just written"), &content);
    }
}

pub(super) async fn stat_tells_the_size_of_what_was_put(trial: Trial) {
    let key = trial.key("object");
    trial.put(&key, &pattern(1, 1234)).await;

    let meta = trial.driver.stat(&key).await.expect("it is there");

    assert_eq!((meta.key, meta.size), (key, 1234));
}

pub(super) async fn an_empty_object_exists(trial: Trial) {
    let key = trial.key("empty");
    trial.put(&key, &Bytes::new()).await;

    let object = trial.driver.get(&key, ReadRange::Whole).await.expect("it is there");

    assert_eq!((object.meta.size, object.range.clone()), (0, 0..0));
    assert!(object.body.into_bytes().await.expect("nothing arrives").is_empty());
    assert_eq!(trial.driver.stat(&key).await.expect("it is there").size, 0);
    assert_eq!(trial.names("", None, 10).await, ["empty"]);
}

pub(super) async fn put_stat_get_and_list_name_one_version(trial: Trial) {
    let key = trial.key("object");
    let put = trial.put(&key, &pattern(1, 100)).await.version.expect("a put tells its version");

    let stat = trial.driver.stat(&key).await.expect("it is there").version;
    let get = trial.other.get(&key, ReadRange::From(3)).await.expect("it is there").meta.version;
    let listed = trial.list(key.as_str(), None, 1).await.objects[0].version.clone();

    assert_eq!(stat.as_ref(), Some(&put));
    assert_eq!(get.as_ref(), Some(&put));
    assert!(listed.is_none_or(|listed| listed == put), "a listing may leave the version out, not differ");
}

pub(super) async fn writes_of_different_content_never_share_a_version(trial: Trial) {
    let key = trial.key("object");
    let mut versions = BTreeSet::new();

    for seed in 0..40 {
        let written = trial.put(&key, &pattern(seed, 64)).await;
        versions.insert(written.version.expect("a put tells its version").0);
    }

    assert_eq!(versions.len(), 40);
}

pub(super) async fn an_overwrite_leaves_nothing_of_the_old_content(trial: Trial) {
    let key = trial.key("object");
    trial.put(&key, &pattern(1, 3 * MIB)).await;

    trial.put(&key, &pattern(2, 5)).await;

    assert_same(&trial.read(&key).await.expect("it is there"), &pattern(2, 5));
    assert_eq!(trial.driver.stat(&key).await.expect("it is there").size, 5);
}

pub(super) async fn a_write_is_seen_by_every_process_at_once(trial: Trial) {
    for round in 0..8 {
        let key = trial.key(&format!("object-{}", round % 3));
        let content = pattern(round, 100);

        trial.put(&key, &content).await;

        let (seen, _) = trial.other.read(&key).await.expect("it reads").expect("it is there");
        assert_same(&seen, &content);
        let page = trial.other.list(key.as_str(), None, 1).await.expect("it lists");
        assert_eq!(page.objects[0].size, 100);
    }
}

pub(super) async fn a_large_object_streams_whole_in_bounded_chunks(trial: Trial) {
    let key = trial.key("large");
    let content = pattern(7, 8 * MIB + 17);
    trial.put(&key, &content).await;

    let object = trial.driver.get(&key, ReadRange::Whole).await.expect("it is there");

    assert!(!matches!(object.body, Body::Whole(_)), "8 MiB are not gathered in memory");
    let mut body = object.body.into_stream();
    let mut offset = 0;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.expect("the body arrives");
        assert!(chunk.len() <= 4 * MIB, "a chunk is a few MiB at most");
        assert_same(&chunk, &content.slice(offset..offset + chunk.len()));
        offset += chunk.len();
    }
    assert_eq!(offset, content.len());
}

pub(super) async fn a_reader_sees_one_version_while_the_object_is_replaced(trial: Trial) {
    let key = trial.key("object");
    let (old, new) = (pattern(1, 6 * MIB), pattern(2, 6 * MIB));
    trial.put(&key, &old).await;
    let mut body = trial.driver.get(&key, ReadRange::Whole).await.expect("it is there").body.into_stream();
    let mut offset = 0;

    while let Some(chunk) = body.next().await {
        if offset == 0 {
            trial.other.put(&key, new.clone(), PutMode::Overwrite).await.expect("it is replaced");
        }
        let chunk = chunk.expect("the old version is still readable");
        assert_same(&chunk, &old.slice(offset..offset + chunk.len()));
        offset += chunk.len();
    }

    assert_eq!(offset, old.len());
    assert_same(&trial.read(&key).await.expect("it is there"), &new);
}

pub(super) async fn an_object_appears_whole_or_not_at_all(trial: Trial) {
    let key = trial.key("object");
    let length = MIB + 1;
    let write =
        async |seed: u64| trial.other.put(&key, pattern(seed, length), PutMode::Overwrite).await.map(|_| ());
    let read = async || {
        let Some((bytes, meta)) = trial.driver.read(&key).await? else { return Ok(()) };
        assert_eq!((bytes.len(), meta.size), (length, length as u64));
        let seed = (0..6).find(|seed| pattern(*seed, 16) == bytes[..16]).expect("one of the versions");
        assert_same(&bytes, &pattern(seed, length));
        crate::Result::Ok(())
    };

    let writes = join_all((0..6).map(write));
    let reads = join_all((0..12).map(|_| read()));
    let (written, seen) = futures_util::future::join(writes, reads).await;

    assert!(written.into_iter().chain(seen).all(|outcome| outcome.is_ok()));
}

pub(super) async fn a_dropped_put_is_applied_whole_or_not_at_all(trial: Trial) {
    let content = pattern(3, 300 * KIB);
    for round in 0..8 {
        let key = trial.key(&format!("dropped-{round}"));
        let mut put = trial.driver.put(&key, content.clone(), PutMode::Overwrite);
        let _ = futures_util::poll!(&mut put);
        drop(put);

        if let Some(found) = trial.read(&key).await {
            assert_same(&found, &content);
        }
        trial.put(&key, &content).await;
        assert_same(&trial.read(&key).await.expect("it was just written"), &content);
    }
}

pub(super) async fn every_valid_key_is_a_key(trial: Trial) {
    let long_segment = "s".repeat(255);
    let room = crate::key::MAX_KEY_BYTES - trial.prefix().len();
    let longest: String = "d/".repeat(room / 2 - 1) + "end";
    let names =
        ["a!b", "a%2fb", "a%b", "a+b=c", "~tilde", "q?x#y&z", "colon:at@", "'quote\"", "*star<>|", "$(x)`"];

    let all = names.iter().copied().chain([long_segment.as_str(), &longest[..longest.len().min(room)]]);
    for (seed, name) in (0..).zip(all) {
        let key = trial.key(name);
        trial.put(&key, &pattern(seed, 50)).await;

        assert_same(&trial.read(&key).await.expect("it is there"), &pattern(seed, 50));
        let page = trial.list(key.as_str(), None, 1).await;
        assert_eq!(page.objects[0].key, key);
    }
}
