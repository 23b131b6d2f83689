//! The driver contract, case by case: on the fake, on the fake through a handle that fails and is asked
//! again, and on a real bucket where `ENTREPOT_TEST_GCS` names one.

use std::sync::Arc;

use entrepot_driver_gcs::GcsDriver;
use entrepot_driver_gcs::fake::{Options, Server};
use entrepot_storage::SharedDriver;
use entrepot_storage::conformance::{Subject, unreliable};

fn server() -> Server {
    Server::start(Options::new("images")).expect("a port is free")
}

async fn open(server: &Server, root: &str) -> SharedDriver {
    let mut config = server.config();
    config.root_directory = root.into();
    Arc::new(GcsDriver::open(config).await.expect("the settings make sense"))
}

mod on_the_fake {
    async fn subject() -> super::Subject {
        let server = super::server();
        let open = || super::open(&server, "below/a/root");
        super::Subject::new(open().await).with_second(open().await).keeping(server)
    }

    entrepot_storage::conformance_tests!(subject);
}

mod on_the_fake_through_failures_that_are_retried {
    use super::{Subject, unreliable};

    async fn subject() -> Subject {
        let server = super::server();
        let open = async |seed| unreliable(super::open(&server, "").await, seed);
        Subject::new(open(1).await).with_second(open(2).await).keeping(server)
    }

    entrepot_storage::conformance_tests!(subject);
}

/// What another's fake says of the JSON API, `ENTREPOT_TEST_GCS_JSON=http://HOST/BUCKET`: that we have not read
/// Google's pages wrong twice, in the driver and in our own fake.
///
/// It is fake-gcs-server, which has no uploads in parts, deletes whatever a condition says, answers 404 to a
/// missing object in words that could be about the bucket, and replaces an object's bytes and its metadata one
/// after the other; the cases about those would be about it.
mod on_another_fake {
    use super::{Arc, GcsDriver, Subject};
    use entrepot_driver_gcs::CredentialSource;
    use entrepot_storage::conformance::{CASES, run};

    /// Writes under conditions, listings, and ranges.
    const WHAT_IT_HAS: [&str; 32] = [
        "a_bounded_range_answers_exactly_its_bytes",
        "a_counter_kept_by_compare_and_swap_is_exact",
        "a_fresh_put_creates_and_may_be_repeated",
        "a_large_object_streams_whole_in_bounded_chunks",
        "a_listing_passes_over_emptied_places",
        "a_listing_starts_after_any_text",
        "a_listing_tells_sizes",
        "a_prefix_may_end_anywhere",
        "a_prefix_that_no_key_can_have_lists_nothing",
        "a_prefix_without_objects_lists_nothing",
        "a_put_that_was_prepared_meets_its_condition_or_fails",
        "a_range_from_an_offset_reaches_the_end",
        "a_range_past_the_end_is_cut_to_the_object",
        "a_suffix_answers_the_last_bytes",
        "a_version_does_not_come_back_after_deletion",
        "a_winner_of_compare_and_swap_is_not_lost_to_an_overwrite",
        "a_write_is_seen_by_every_process_at_once",
        "an_empty_object_exists",
        "every_valid_key_is_a_key",
        "more_is_never_false_when_something_follows",
        "objects_are_listed_in_byte_order",
        "of_many_creators_exactly_one_wins",
        "of_many_with_one_version_exactly_one_wins",
        "pages_of_any_size_show_every_object_once",
        "put_if_absent_creates_again_after_a_delete",
        "put_if_absent_creates_where_nothing_is",
        "put_if_absent_over_an_object_changes_nothing",
        "put_if_match_of_another_version_changes_nothing",
        "put_if_match_replaces_the_version_it_names",
        "put_stat_get_and_list_name_one_version",
        "stat_tells_the_size_of_what_was_put",
        "writes_of_different_content_never_share_a_version",
    ];

    async fn subject() -> Option<Subject> {
        let url = super::variable("ENTREPOT_TEST_GCS_JSON")?;
        let (endpoint, bucket) = url.rsplit_once('/').expect("a URL with a bucket");
        let open = async || {
            let mut config = entrepot_driver_gcs::Config::new(bucket);
            config.endpoint = Some(endpoint.to_owned());
            config.credentials = CredentialSource::Anonymous;
            Arc::new(GcsDriver::open(config).await.expect("the settings make sense"))
        };
        Some(Subject::new(open().await).with_second(open().await))
    }

    #[test]
    fn what_it_has_holds() {
        for name in WHAT_IT_HAS {
            assert!(CASES.iter().any(|case| case.name == name), "no case {name}");
            run(name, subject);
        }
    }
}

/// What a variable says; where it says nothing, the case that asks is skipped, and told to be.
fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "a test, not the registry")]
    let value = std::env::var(name).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        #[expect(clippy::print_stdout, reason = "a skipped case is told on the test's own output")]
        {
            println!("skipped: {name} is not set");
        }
    }
    value
}

/// `ENTREPOT_TEST_GCS=bucket` and Application Default Credentials that may read, write and delete below
/// `entrepot-conformance/` in it. What the cases leave behind is the bucket's lifecycle rules' to clean up.
mod on_a_real_bucket {
    use super::{Arc, GcsDriver, Subject};

    async fn subject() -> Option<Subject> {
        let bucket = super::variable("ENTREPOT_TEST_GCS")?;
        let open = async || {
            let mut config = entrepot_driver_gcs::Config::new(&bucket);
            config.root_directory = "entrepot-conformance".into();
            Arc::new(GcsDriver::open(config).await.expect("the default credentials can be read"))
        };
        Some(Subject::new(open().await).with_second(open().await))
    }

    entrepot_storage::conformance_tests!(subject);
}
