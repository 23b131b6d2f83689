//! Listings: order, prefixes, starting points, pages.

use super::trial::{Trial, pattern};

/// Names whose order differs between bytes and a walk over directories, in byte order.
const NAMES: [&str; 12] =
    ["A", "Z/z", "a!b", "a-b/c", "a.b", "a/b", "a/b-c", "a0", "aa/b/c/d", "b/1", "b/10", "b/2"];

async fn plant(trial: &Trial, names: &[&str]) {
    for name in names {
        trial.put(&trial.key(name), &pattern(1, name.len())).await;
    }
}

pub(super) async fn objects_are_listed_in_byte_order(trial: Trial) {
    plant(&trial, &NAMES).await;

    assert_eq!(trial.names("", None, 1000).await, NAMES);
}

pub(super) async fn pages_of_any_size_show_every_object_once(trial: Trial) {
    plant(&trial, &NAMES).await;

    for limit in [1, 2, 3, 5, NAMES.len(), NAMES.len() + 1] {
        assert_eq!(trial.names("", None, limit).await, NAMES, "in pages of {limit}");
    }
}

pub(super) async fn more_is_never_false_when_something_follows(trial: Trial) {
    plant(&trial, &["a", "b/1", "b/2", "c"]).await;

    for limit in 1..4 {
        assert!(trial.list(&trial.prefix(), None, limit).await.more, "a page of {limit} is not the last");
    }
    let start = format!("{}b/1", trial.prefix());
    assert!(trial.list(&trial.prefix(), Some(&start), 1).await.more);
}

pub(super) async fn a_prefix_may_end_anywhere(trial: Trial) {
    plant(&trial, &NAMES).await;

    let matches = [
        "", "a", "a/", "a-", "a.", "a/b", "a/b-", "aa", "aa/b/c", "aa/b/c/d", "b", "b/1", "b/10", "c", "a//",
        "Z", "z",
    ];
    for prefix in matches {
        let expected: Vec<_> = NAMES.into_iter().filter(|name| name.starts_with(prefix)).collect();
        assert_eq!(trial.names(prefix, None, 2).await, expected, "prefix {prefix:?}");
    }
}

pub(super) async fn a_prefix_that_no_key_can_have_lists_nothing(trial: Trial) {
    plant(&trial, &["a/b"]).await;

    for prefix in ["..", "../", "a/../a", ".hidden", "/", "a/b/", "a b", "ä", "a\\", "a\u{1}"] {
        assert!(trial.names(prefix, None, 10).await.is_empty(), "prefix {prefix:?}");
    }
    assert!(trial.list("../", None, 10).await.objects.is_empty());
    assert!(trial.list("/", None, 10).await.objects.is_empty());
}

pub(super) async fn a_listing_starts_after_any_text(trial: Trial) {
    plant(&trial, &NAMES).await;

    let starts = [
        "",
        "A",
        "A0",
        "Z",
        "Z/",
        "Z/zz",
        "a",
        "a!",
        "a-",
        "a-b",
        "a-b/",
        "a-b/c",
        "a.",
        "a/",
        "a/b",
        "a/b-",
        "a/zzz",
        "a0",
        "aa/b",
        "aa/b/c/d/e",
        "b/1",
        "b/10",
        "b/2",
        "b0",
        "zzz",
        "a//",
        "a\u{7f}",
        "ä",
    ];
    for start in starts {
        let expected: Vec<_> = NAMES.into_iter().filter(|name| *name > start).collect();
        assert_eq!(trial.names("", Some(start), 3).await, expected, "after {start:?}");
    }
}

pub(super) async fn a_start_outside_the_prefix_is_a_comparison_and_no_more(trial: Trial) {
    plant(&trial, &NAMES).await;

    assert_eq!(trial.names("b/", Some("a"), 2).await, ["b/1", "b/10", "b/2"]);
    assert!(trial.names("b/", Some("c"), 2).await.is_empty());
    assert_eq!(trial.names("a/", Some("a-zzz"), 2).await, ["a/b", "a/b-c"]);
}

pub(super) async fn the_empty_prefix_means_the_whole_store(trial: Trial) {
    plant(&trial, &["x/1", "x/2"]).await;
    let start = trial.prefix();

    let page = trial.list("", Some(&start), 2).await;

    let keys: Vec<_> = page.objects.into_iter().map(|meta| meta.key).collect();
    assert_eq!(keys, [trial.key("x/1"), trial.key("x/2")]);
}

pub(super) async fn a_listing_tells_sizes(trial: Trial) {
    for size in [0, 1, 70_000] {
        trial.put(&trial.key(&format!("size/{size:06}")), &pattern(1, size)).await;
    }

    let page = trial.list(&trial.prefix(), None, 10).await;

    let sizes: Vec<_> = page.objects.iter().map(|meta| meta.size).collect();
    assert_eq!(sizes, [0, 1, 70_000]);
}

pub(super) async fn a_prefix_without_objects_lists_nothing(trial: Trial) {
    let page = trial.list(&trial.prefix(), None, 10).await;

    assert!(page.objects.is_empty());
}

pub(super) async fn a_listing_passes_over_emptied_places(trial: Trial) {
    for n in 0..12 {
        trial.put(&trial.key(&format!("repo-{n:02}/tag")), &pattern(1, 3)).await;
    }
    for n in 0..11 {
        trial.driver.delete(&trial.key(&format!("repo-{n:02}/tag")), None).await.expect("it is deleted");
    }

    let page = trial.list(&trial.prefix(), None, 1).await;

    assert_eq!(page.objects.first().map(|meta| &meta.key), Some(&trial.key("repo-11/tag")));
    assert_eq!(trial.names("", None, 2).await, ["repo-11/tag"]);
}

pub(super) async fn a_long_walk_shows_what_stays_whatever_comes_and_goes(trial: Trial) {
    for n in 0..20 {
        trial.put(&trial.key(&format!("stays/{n:02}")), &pattern(1, 3)).await;
    }
    let mut seen = Vec::new();
    let mut start: Option<String> = None;

    for round in 0.. {
        let page = trial.list(&trial.prefix(), start.as_deref(), 3).await;
        seen.extend(page.objects.iter().map(|meta| meta.key.to_string()));
        let Some(last) = page.objects.last() else { break };
        start = Some(last.key.to_string());
        trial.put(&trial.key(&format!("comes/{round}")), &pattern(1, 3)).await;
        trial.other.delete(&trial.key("stays/19"), None).await.expect("it is deleted");
    }

    let stays: Vec<_> = (0..19).map(|n| trial.key(&format!("stays/{n:02}")).to_string()).collect();
    let seen_of_them: Vec<_> = seen.into_iter().filter(|key| stays.contains(key)).collect();
    assert_eq!(seen_of_them, stays);
}
