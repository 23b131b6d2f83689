//! Uploads in parts.

use bytes::Bytes;
use futures_util::future::{join, join_all};

use super::trial::{Trial, assert_same, pattern};
use crate::{ErrorKind, Key, Part, Result, Upload};

/// The content of part `number` of an ordinary upload: of one size, the last one shorter.
fn piece(trial: &Trial, number: u32, last: u32) -> Bytes {
    let size = trial.part_size();
    pattern(u64::from(number), if number == last { size / 2 + 1 } else { size })
}

fn joined(trial: &Trial, last: u32) -> Bytes {
    (1..=last).flat_map(|number| piece(trial, number, last)).collect::<Vec<u8>>().into()
}

/// Begins an upload and writes `last` parts in order.
async fn filled(trial: &Trial, key: &Key, last: u32) -> (Upload, Vec<Part>) {
    let upload = trial.begin(key).await;
    let mut parts = Vec::new();
    for number in 1..=last {
        parts.push(trial.part(&upload, number, &piece(trial, number, last)).await);
    }
    (upload, parts)
}

fn kind<T: std::fmt::Debug>(outcome: Result<T>) -> ErrorKind {
    outcome.expect_err("this cannot succeed").kind()
}

pub(super) async fn nothing_is_visible_before_completion(trial: Trial) {
    let key = trial.key("object");
    let (upload, _) = filled(&trial, &key, 2).await;
    trial.driver.upload_flush(&upload).await.expect("the parts are flushed");

    trial.assert_absent(&key).await;
    assert!(trial.names("", None, 10).await.is_empty());
}

pub(super) async fn parts_become_the_object_in_their_order(trial: Trial) {
    let key = trial.key("object");
    let (upload, parts) = filled(&trial, &key, 3).await;

    let meta = trial.driver.upload_complete(&upload, &parts).await.expect("it completes");

    let expected = joined(&trial, 3);
    assert_eq!((&meta.key, meta.size), (&key, expected.len() as u64));
    assert_same(&trial.read(&key).await.expect("it is there"), &expected);
    assert_eq!(trial.names("", None, 10).await, ["object"]);
}

pub(super) async fn one_part_of_any_size_is_enough(trial: Trial) {
    let key = trial.key("object");
    let upload = trial.begin(&key).await;
    let part = trial.part(&upload, 1, &pattern(1, 7)).await;

    trial.driver.upload_complete(&upload, &[part]).await.expect("the last part may be small");

    assert_same(&trial.read(&key).await.expect("it is there"), &pattern(1, 7));
}

pub(super) async fn a_completed_object_has_the_version_that_stat_tells(trial: Trial) {
    let key = trial.key("object");
    let (upload, parts) = filled(&trial, &key, 2).await;

    let completed = trial.driver.upload_complete(&upload, &parts).await.expect("it completes");

    let stat = trial.driver.stat(&key).await.expect("it is there");
    assert_eq!(stat.size, completed.size);
    assert!(completed.version.is_none() || completed.version == stat.version);
}

pub(super) async fn parts_may_arrive_in_any_order(trial: Trial) {
    let key = trial.key("object");
    let upload = trial.begin(&key).await;
    let third = trial.part(&upload, 3, &piece(&trial, 3, 3)).await;
    let first = trial.part(&upload, 1, &piece(&trial, 1, 3)).await;
    let second = trial.part(&upload, 2, &piece(&trial, 2, 3)).await;

    trial.driver.upload_complete(&upload, &[first, second, third]).await.expect("it completes");

    assert_same(&trial.read(&key).await.expect("it is there"), &joined(&trial, 3));
}

pub(super) async fn a_part_of_many_pieces_is_their_concatenation(trial: Trial) {
    let key = trial.key("object");
    let upload = trial.begin(&key).await;
    let content = pattern(9, 30_000);
    // More pieces than one vectored write takes, with empty ones among them.
    let pieces = content.chunks(13).flat_map(|piece| [Bytes::copy_from_slice(piece), Bytes::new()]).collect();

    let part = trial.driver.upload_part(&upload, 1, pieces).await.expect("it is acknowledged");
    trial.driver.upload_complete(&upload, &[part]).await.expect("it completes");

    assert_same(&trial.read(&key).await.expect("it is there"), &content);
}

pub(super) async fn another_process_may_continue_and_complete(trial: Trial) {
    let key = trial.key("object");
    let (upload, mut parts) = filled(&trial, &key, 3).await;
    parts.pop();
    let written = serde_json::to_string(&(&upload, &parts)).expect("an upload is plain data");
    let (upload, mut parts): (Upload, Vec<Part>) = serde_json::from_str(&written).expect("and reads back");

    let last = trial.other.upload_part(&upload, 3, vec![piece(&trial, 3, 3)]).await;
    parts.push(last.expect("the other process appends"));
    trial.other.upload_flush(&upload).await.expect("it flushes");
    trial.other.upload_complete(&upload, &parts).await.expect("and completes");

    assert_same(&trial.read(&key).await.expect("it is there"), &joined(&trial, 3));
}

pub(super) async fn an_overwritten_part_never_passes_for_the_new_one(trial: Trial) {
    let key = trial.key("object");
    let (upload, parts) = filled(&trial, &key, 2).await;
    let other_bytes = pattern(77, trial.part_size());

    let rewritten = trial.other.upload_part(&upload, 1, vec![other_bytes.clone()]).await;

    let rewritten = rewritten.expect("the same number may be written again");
    assert_ne!(rewritten.tag, parts[0].tag);
    let expected: Vec<u8> = [other_bytes, piece(&trial, 2, 2)].concat();
    trial.driver.upload_complete(&upload, &[rewritten, parts[1].clone()]).await.expect("it completes");
    assert_same(&trial.read(&key).await.expect("it is there"), &expected.into());
}

pub(super) async fn the_old_tag_takes_the_old_bytes_or_fails(trial: Trial) {
    let key = trial.key("object");
    let (upload, parts) = filled(&trial, &key, 2).await;
    trial.part(&upload, 1, &pattern(77, trial.part_size())).await;

    match trial.driver.upload_complete(&upload, &parts).await {
        Ok(_) => assert_same(&trial.read(&key).await.expect("it is there"), &joined(&trial, 2)),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::PartMismatch, "{error}");
            trial.assert_absent(&key).await;
        }
    }
}

pub(super) async fn exactly_the_named_parts_are_taken(trial: Trial) {
    let key = trial.key("object");
    let (upload, parts) = filled(&trial, &key, 3).await;

    trial.driver.upload_complete(&upload, &parts[..2]).await.expect("the third part is left out");

    let expected = joined(&trial, 3).slice(..2 * trial.part_size());
    assert_same(&trial.read(&key).await.expect("it is there"), &expected);
}

pub(super) async fn parts_the_store_does_not_hold_make_completion_fail(trial: Trial) {
    let key = trial.key("object");
    let (upload, parts) = filled(&trial, &key, 2).await;
    let mut unknown = parts.clone();
    unknown.push(Part { number: 3, size: 100, tag: "999999999".into() });
    let gap = [parts[0].clone(), Part { number: 3, ..parts[1].clone() }];

    for wrong in [&unknown[..], &gap[..]] {
        assert_eq!(kind(trial.driver.upload_complete(&upload, wrong).await), ErrorKind::PartMismatch);
        trial.assert_absent(&key).await;
    }
}

pub(super) async fn completing_again_answers_the_object(trial: Trial) {
    let key = trial.key("object");
    let (upload, parts) = filled(&trial, &key, 2).await;
    let first = trial.driver.upload_complete(&upload, &parts).await.expect("it completes");

    for handle in [&trial.driver, &trial.other] {
        let again = handle.upload_complete(&upload, &parts).await.expect("it was completed before");
        assert_eq!((again.key, again.size), (first.key.clone(), first.size));
    }

    assert_same(&trial.read(&key).await.expect("it is there"), &joined(&trial, 2));
}

pub(super) async fn completing_twice_at_once_makes_one_sound_object(trial: Trial) {
    for round in 0..6 {
        let key = trial.key(&format!("object-{round}"));
        let (upload, parts) = filled(&trial, &key, 2).await;

        let both =
            join(trial.driver.upload_complete(&upload, &parts), trial.other.upload_complete(&upload, &parts));
        let (one, other) = both.await;

        assert!(one.is_ok() || other.is_ok());
        for error in [one.err(), other.err()].into_iter().flatten() {
            assert_eq!(error.kind(), ErrorKind::UploadGone, "{error}");
        }
        assert_same(&trial.read(&key).await.expect("it is there"), &joined(&trial, 2));
    }
}

pub(super) async fn a_part_after_completion_is_refused_and_harms_nothing(trial: Trial) {
    let key = trial.key("object");
    let (upload, parts) = filled(&trial, &key, 2).await;
    trial.driver.upload_complete(&upload, &parts).await.expect("it completes");

    for handle in [&trial.driver, &trial.other] {
        let late = handle.upload_part(&upload, 3, vec![pattern(9, 100)]).await;
        assert_eq!(kind(late), ErrorKind::UploadGone);
    }

    assert_same(&trial.read(&key).await.expect("it is there"), &joined(&trial, 2));
}

pub(super) async fn late_parts_racing_with_completion_harm_nothing(trial: Trial) {
    for round in 0..6 {
        let key = trial.key(&format!("object-{round}"));
        let (upload, parts) = filled(&trial, &key, 2).await;

        let late = trial.other.upload_part(&upload, 3, vec![pattern(9, trial.part_size())]);
        let (completed, late) = join(trial.driver.upload_complete(&upload, &parts), late).await;

        completed.expect("the named parts are there");
        if let Err(error) = late {
            assert_eq!(error.kind(), ErrorKind::UploadGone, "{error}");
        }
        assert_same(&trial.read(&key).await.expect("it is there"), &joined(&trial, 2));
    }
}

pub(super) async fn an_aborted_upload_is_gone(trial: Trial) {
    let key = trial.key("object");
    let (upload, parts) = filled(&trial, &key, 2).await;

    trial.driver.upload_abort(&upload).await.expect("it is given up");

    assert_eq!(kind(trial.driver.upload_part(&upload, 3, vec![pattern(3, 10)]).await), ErrorKind::UploadGone);
    assert_eq!(kind(trial.driver.upload_complete(&upload, &parts).await), ErrorKind::UploadGone);
    trial.assert_absent(&key).await;
}

pub(super) async fn aborting_again_succeeds(trial: Trial) {
    let (upload, _) = filled(&trial, &trial.key("object"), 1).await;

    for handle in [&trial.driver, &trial.driver, &trial.other] {
        handle.upload_abort(&upload).await.expect("an upload that is gone is a success");
    }
}

pub(super) async fn aborting_after_completion_leaves_the_object(trial: Trial) {
    let key = trial.key("object");
    let (upload, parts) = filled(&trial, &key, 2).await;
    trial.driver.upload_complete(&upload, &parts).await.expect("it completes");

    trial.driver.upload_abort(&upload).await.expect("an upload that is gone is a success");

    assert_same(&trial.read(&key).await.expect("it is there"), &joined(&trial, 2));
}

pub(super) async fn uploads_at_once_do_not_mix(trial: Trial) {
    let (a, b, c) = (trial.key("a"), trial.key("b"), trial.key("a-abandoned"));
    let (one, other) = (trial.begin(&a).await, trial.begin(&b).await);
    let (abandoned, _) = filled(&trial, &c, 1).await;
    assert_ne!(one.id, other.id);
    let part_a = trial.part(&one, 1, &pattern(1, 500)).await;
    let part_b = trial.part(&other, 1, &pattern(2, 600)).await;

    trial.driver.upload_abort(&abandoned).await.expect("it is given up");
    trial.driver.upload_complete(&other, &[part_b]).await.expect("it completes");
    trial.driver.upload_complete(&one, &[part_a]).await.expect("it completes");

    assert_same(&trial.read(&a).await.expect("it is there"), &pattern(1, 500));
    assert_same(&trial.read(&b).await.expect("it is there"), &pattern(2, 600));
    trial.assert_absent(&c).await;
}

pub(super) async fn two_uploads_of_one_key_are_two(trial: Trial) {
    let key = trial.key("object");
    let (one, _) = filled(&trial, &key, 1).await;
    let (other, parts) = filled(&trial, &key, 2).await;
    assert_ne!(one.id, other.id);

    trial.driver.upload_abort(&one).await.expect("it is given up");
    trial.driver.upload_complete(&other, &parts).await.expect("it completes");

    assert_same(&trial.read(&key).await.expect("it is there"), &joined(&trial, 2));
}

pub(super) async fn parts_in_flight_together_keep_their_bytes(trial: Trial) {
    let key = trial.key("object");
    let upload = trial.begin(&key).await;
    let last = u32::try_from(trial.capabilities().parallel_parts.clamp(2, 6)).expect("a small number");

    let parts = join_all((1..=last).map(|number| {
        let body = vec![piece(&trial, number, last)];
        let handle = if number.is_multiple_of(2) { &trial.driver } else { &trial.other };
        handle.upload_part(&upload, number, body)
    }))
    .await;

    let parts: Vec<Part> = parts.into_iter().map(|part| part.expect("each is acknowledged")).collect();
    trial.driver.upload_complete(&upload, &parts).await.expect("it completes");
    assert_same(&trial.read(&key).await.expect("it is there"), &joined(&trial, last));
}

pub(super) async fn of_two_writers_of_one_part_the_tag_decides(trial: Trial) {
    for round in 0..6 {
        let key = trial.key(&format!("object-{round}"));
        let upload = trial.begin(&key).await;
        let first = trial.part(&upload, 1, &piece(&trial, 1, 3)).await;
        let (mine, theirs) = (pattern(50, 3000), pattern(51, 3000));

        let (part, _) = join(
            trial.driver.upload_part(&upload, 2, vec![mine.clone()]),
            trial.other.upload_part(&upload, 2, vec![theirs]),
        )
        .await;

        let part = part.expect("it is acknowledged");
        match trial.driver.upload_complete(&upload, &[first, part]).await {
            Ok(_) => {
                let expected = [piece(&trial, 1, 3), mine].concat();
                assert_same(&trial.read(&key).await.expect("it is there"), &expected.into());
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::PartMismatch, "{error}");
                trial.assert_absent(&key).await;
            }
        }
    }
}

pub(super) async fn a_large_upload_reads_back_whole(trial: Trial) {
    let key = trial.key("large");
    let upload = trial.begin(&key).await;
    let size = trial.part_size().max(1 << 20) as u64;
    let size = usize::try_from(size.min(trial.capabilities().max_part)).expect("parts fit in memory");
    let content = pattern(3, 8 * size + 11);
    let mut parts = Vec::new();

    for (number, body) in (1..).zip(content.chunks(size)) {
        parts.push(trial.part(&upload, number, &Bytes::copy_from_slice(body)).await);
    }
    trial.driver.upload_flush(&upload).await.expect("it flushes");
    trial.driver.upload_complete(&upload, &parts).await.expect("it completes");

    assert_same(&trial.read(&key).await.expect("it is there"), &content);
}

pub(super) async fn listed_uploads_can_be_aborted(trial: Trial) {
    for name in ["u/a", "u/b", "u/c", "v/a"] {
        filled(&trial, &trial.key(name), 1).await;
    }
    let prefix = format!("{}u/", trial.prefix());

    let entries = trial.driver.list_uploads(&prefix, None, 10).await.expect("it lists");

    // Stores do not promise that the listing is complete, so only what it holds is looked at.
    for entry in &entries {
        assert!(entry.upload.key.as_str().starts_with(&prefix));
        trial.other.upload_abort(&entry.upload).await.expect("it is given up");
        let late = trial.driver.upload_part(&entry.upload, 2, vec![pattern(1, 10)]).await;
        assert_eq!(kind(late), ErrorKind::UploadGone);
    }
    assert!(entries.is_sorted_by(|a, b| a.upload.key <= b.upload.key));
}

pub(super) async fn a_listing_of_uploads_keeps_to_its_bounds(trial: Trial) {
    for name in ["a", "b", "c", "d"] {
        filled(&trial, &trial.key(name), 1).await;
    }
    let start = trial.key("b").to_string();

    let entries = trial.driver.list_uploads(&trial.prefix(), Some(&start), 1).await.expect("it lists");

    assert!(entries.len() <= 1);
    assert!(entries.iter().all(|entry| entry.upload.key.as_str() > start.as_str()));
}

pub(super) async fn finished_uploads_are_not_listed(trial: Trial) {
    let (completed, parts) = filled(&trial, &trial.key("completed"), 1).await;
    let (aborted, _) = filled(&trial, &trial.key("aborted"), 1).await;
    trial.driver.upload_complete(&completed, &parts).await.expect("it completes");
    trial.driver.upload_abort(&aborted).await.expect("it is given up");

    let entries = trial.driver.list_uploads(&trial.prefix(), None, 10).await.expect("it lists");

    assert!(entries.is_empty(), "{entries:?}");
}

pub(super) async fn an_upload_the_store_never_knew_is_gone(trial: Trial) {
    let upload = trial.begin(&trial.key("object")).await;
    trial.driver.upload_abort(&upload).await.expect("it is given up");
    let part = Part { number: 1, size: 10, tag: "0".into() };

    let late = trial.driver.upload_part(&upload, 1, vec![pattern(1, 10)]).await;

    assert_eq!(kind(late), ErrorKind::UploadGone);
    assert_eq!(kind(trial.driver.upload_complete(&upload, &[part]).await), ErrorKind::UploadGone);
}
