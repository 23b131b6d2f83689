//! The table of cases: name, who owes it, and the sentence it stands for.
//!
//! The table is written once, inside a macro, because two readers need it at compile time: [`CASES`]
//! and [`conformance_tests!`](crate::conformance_tests), which writes a test function per row.

use super::{Case, conditions, deletes, listing, objects, preparing, presigning, ranges, uploads};
use crate::Capabilities;

const ANY: fn(&Capabilities) -> bool = |_| true;
const CONDITIONAL_PUT: fn(&Capabilities) -> bool = |store| store.conditional_put;
const CONDITIONAL_DELETE: fn(&Capabilities) -> bool = |store| store.conditional_delete;
const NO_CONDITIONAL_DELETE: fn(&Capabilities) -> bool = |store| !store.conditional_delete;
const BOTH_CONDITIONS: fn(&Capabilities) -> bool = |store| store.conditional_put && store.conditional_delete;
const PRESIGN: fn(&Capabilities) -> bool = |store| store.presign;
const NO_PRESIGN: fn(&Capabilities) -> bool = |store| !store.presign;

/// Writes one `#[test]` per case of the contract. Its argument is an async function without arguments
/// that answers a fresh [`Subject`](crate::conformance::Subject).
#[macro_export]
macro_rules! conformance_tests {
    ($make:path) => {
        $crate::conformance_cases! { rows tests ($make) }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    (table () $($module:ident::$name:ident, $requires:ident, $sentence:literal;)*) => {
        &[$(Case {
            name: stringify!($name),
            sentence: $sentence,
            requires: $requires,
            run: |trial| Box::pin($module::$name(trial)),
        }),*]
    };
    (tests ($make:path) $($module:ident::$name:ident, $requires:ident, $sentence:literal;)*) => {
        $(
            #[doc = $sentence]
            #[test]
            fn $name() {
                $crate::conformance::run(stringify!($name), $make);
            }
        )*
    };
    (rows $reader:ident $context:tt) => {
        $crate::conformance_cases! {
            $reader $context
            objects::capabilities_are_consistent_and_constant, ANY, "What a store can do, declared by its driver and constant for the driver's life.";
            objects::the_chain_names_its_driver, ANY, "`Display` names the chain of decorators and the driver.";
            objects::a_missing_object_is_not_found, ANY, "`NotFound` is the store's own word.";
            objects::what_was_put_is_read_back_byte_for_byte, ANY, "`put` writes a whole object.";
            objects::stat_tells_the_size_of_what_was_put, ANY, "`stat` looks at an object without reading it.";
            objects::an_empty_object_exists, ANY, "An object of no bytes is an object.";
            objects::put_stat_get_and_list_name_one_version, ANY, "A version names one stored state of one object.";
            objects::writes_of_different_content_never_share_a_version, ANY, "Two writes of different content never share a version.";
            objects::an_overwrite_leaves_nothing_of_the_old_content, ANY, "Each new content of an object appears whole.";
            objects::a_write_is_seen_by_every_process_at_once, ANY, "When a write has been answered, every later read and listing, by any process, shows it.";
            objects::a_large_object_streams_whole_in_bounded_chunks, ANY, "`get` never holds more than a few MiB of it in memory.";
            objects::a_reader_sees_one_version_while_the_object_is_replaced, ANY, "A reader sees one version from its first byte to its last, whatever happens meanwhile.";
            objects::an_object_appears_whole_or_not_at_all, ANY, "An object appears whole or not at all.";
            objects::a_dropped_put_is_applied_whole_or_not_at_all, ANY, "A future that is dropped leaves its write either applied or not.";
            objects::every_valid_key_is_a_key, ANY, "Every valid `Key` can name an object.";
            ranges::a_bounded_range_answers_exactly_its_bytes, ANY, "`get` reads a range of an object.";
            ranges::a_range_past_the_end_is_cut_to_the_object, ANY, "An `end` past the object is cut to its length.";
            ranges::a_range_from_an_offset_reaches_the_end, ANY, "`From` reads from an offset to the end.";
            ranges::a_suffix_answers_the_last_bytes, ANY, "`Suffix` reads the last so many bytes; more than there are means all.";
            ranges::a_range_that_holds_no_byte_is_not_satisfiable, ANY, "`get` fails with `RangeNotSatisfiable` where the range holds no byte of it.";
            ranges::a_range_of_a_missing_object_is_not_found, ANY, "`get` fails with `NotFound`.";
            ranges::ranges_of_a_large_object_are_exact, ANY, "The body holds exactly the bytes of its range.";
            preparing::a_prepared_put_is_seen_by_nobody_before_it_comes, ANY, "`prepare_put` does what can be seen by nobody.";
            preparing::a_put_that_was_prepared_meets_its_condition_or_fails, CONDITIONAL_PUT, "The put is the same with and without it.";
            preparing::a_put_of_other_bytes_or_elsewhere_writes_its_own, ANY, "The put is the same with and without it.";
            preparing::a_prepared_put_that_never_comes_changes_nothing, ANY, "Dropping the answer of `prepare_put` takes it back.";
            conditions::put_if_absent_creates_where_nothing_is, CONDITIONAL_PUT, "`IfAbsent` writes only where no object is.";
            conditions::put_if_absent_over_an_object_changes_nothing, CONDITIONAL_PUT, "`IfAbsent` fails with `AlreadyExists`, and then nothing was changed.";
            conditions::put_if_absent_creates_again_after_a_delete, CONDITIONAL_PUT, "When a delete has been answered, every later write sees it.";
            conditions::a_fresh_put_creates_and_may_be_repeated, CONDITIONAL_PUT, "What is at a fresh key comes of an earlier attempt: it is done, or fails with `AlreadyExists`.";
            conditions::put_if_match_replaces_the_version_it_names, CONDITIONAL_PUT, "`IfMatch` writes over the version it names.";
            conditions::put_if_match_of_another_version_changes_nothing, CONDITIONAL_PUT, "`IfMatch` fails with `Precondition`, and then nothing was changed.";
            conditions::put_if_match_where_nothing_is_fails, CONDITIONAL_PUT, "`IfMatch` fails with `Precondition` also where no object is.";
            conditions::a_version_does_not_come_back_after_deletion, CONDITIONAL_PUT, "A version names one stored state, and no later one.";
            conditions::of_many_creators_exactly_one_wins, CONDITIONAL_PUT, "Of several at once with the same condition exactly one wins.";
            conditions::of_many_with_one_version_exactly_one_wins, CONDITIONAL_PUT, "Of several at once with the same condition exactly one wins.";
            conditions::a_counter_kept_by_compare_and_swap_is_exact, CONDITIONAL_PUT, "All calls may run at once from any number of processes.";
            conditions::a_winner_of_compare_and_swap_is_not_lost_to_an_overwrite, CONDITIONAL_PUT, "`IfMatch` is honoured atomically.";
            deletes::a_deleted_object_is_gone_for_every_process, ANY, "When a delete has been answered, every later read and listing, by any process, shows it.";
            deletes::deleting_a_missing_object_succeeds, ANY, "Without a version, a missing object is a success.";
            deletes::a_delete_leaves_its_neighbours_alone, ANY, "`delete` deletes an object, and no other.";
            deletes::a_delete_with_the_present_version_deletes, CONDITIONAL_DELETE, "With a version, the object is deleted only in that version.";
            deletes::a_delete_with_another_version_changes_nothing, CONDITIONAL_DELETE, "With another version, `Precondition`.";
            deletes::a_delete_with_a_version_where_nothing_is_fails, CONDITIONAL_DELETE, "With a version, and no object, `Precondition`.";
            deletes::of_many_deletes_of_one_version_exactly_one_wins, CONDITIONAL_DELETE, "`delete` honours its version atomically.";
            deletes::a_swap_and_a_delete_of_one_version_do_not_both_win, BOTH_CONDITIONS, "`delete` and `put` honour versions against each other.";
            deletes::a_store_without_conditional_delete_says_so, NO_CONDITIONAL_DELETE, "`Unsupported` where the store cannot tell.";
            deletes::many_are_deleted_with_the_missing_among_them, ANY, "`delete_many` deletes each as `delete` without a version would.";
            deletes::more_than_one_batch_is_deleted_whole, ANY, "An empty answer means that all are gone.";
            deletes::deleting_no_keys_succeeds, ANY, "An empty answer means that all are gone.";
            listing::objects_are_listed_in_byte_order, ANY, "`list` answers in byte order.";
            listing::pages_of_any_size_show_every_object_once, ANY, "`list` answers up to `limit` objects greater than `start_after`.";
            listing::more_is_never_false_when_something_follows, ANY, "`more` is never false when something does follow.";
            listing::a_prefix_may_end_anywhere, ANY, "`prefix` is any text, not only whole segments.";
            listing::a_prefix_that_no_key_can_have_lists_nothing, ANY, "`prefix` is any text.";
            listing::a_listing_starts_after_any_text, ANY, "`start_after` is any text, not only whole segments.";
            listing::a_start_outside_the_prefix_is_a_comparison_and_no_more, ANY, "Listed keys begin with `prefix` and are greater than `start_after`.";
            listing::the_empty_prefix_means_the_whole_store, ANY, "Every key begins with the empty prefix.";
            listing::a_listing_tells_sizes, ANY, "A listing tells the length of each object.";
            listing::a_prefix_without_objects_lists_nothing, ANY, "A listing without objects is no failure.";
            listing::a_listing_passes_over_emptied_places, ANY, "`list` is a listing of objects, not of places where objects were.";
            listing::a_long_walk_shows_what_stays_whatever_comes_and_goes, ANY, "A listing in pages shows every object that is there throughout.";
            presigning::a_store_that_presigns_answers_a_url_without_looking, PRESIGN, "`presign_get` signs locally, without a request.";
            presigning::the_same_options_give_the_same_url_on_every_process, PRESIGN, "The same options give the same URL on every process that holds the same credentials.";
            presigning::a_url_is_good_for_no_longer_than_was_asked, PRESIGN, "`expires_at` is as asked, or earlier.";
            presigning::a_store_that_cannot_presign_answers_none, NO_PRESIGN, "`None` where the store has no such thing.";
            uploads::nothing_is_visible_before_completion, ANY, "Nothing is visible at `key` before the upload is completed.";
            uploads::parts_become_the_object_in_their_order, ANY, "`upload_complete` makes the object out of exactly `parts`, in order.";
            uploads::one_part_of_any_size_is_enough, ANY, "The minimum size does not hold for the last part.";
            uploads::a_completed_object_has_the_version_that_stat_tells, ANY, "`upload_complete` answers the object as it is.";
            uploads::parts_may_arrive_in_any_order, ANY, "Each acknowledged part has its own number and tag, whatever came before.";
            uploads::a_part_of_many_pieces_is_their_concatenation, ANY, "A part is all the bytes of its body.";
            uploads::another_process_may_continue_and_complete, ANY, "What one process began another may continue.";
            uploads::an_overwritten_part_never_passes_for_the_new_one, ANY, "The same number may be written again, by this process or another.";
            uploads::the_old_tag_takes_the_old_bytes_or_fails, ANY, "Completion takes exactly the tagged bytes or fails.";
            uploads::exactly_the_named_parts_are_taken, ANY, "Completion takes exactly the parts it names.";
            uploads::parts_the_store_does_not_hold_make_completion_fail, ANY, "Fails with `PartMismatch` where the store no longer holds the tagged bytes, and then nothing is visible.";
            uploads::completing_again_answers_the_object, ANY, "Completing again after a success answers the object as it is.";
            uploads::completing_twice_at_once_makes_one_sound_object, ANY, "All calls may run at once from any number of processes.";
            uploads::a_part_after_completion_is_refused_and_harms_nothing, ANY, "`upload_part` fails with `UploadGone` after completion.";
            uploads::late_parts_racing_with_completion_harm_nothing, ANY, "An object, once visible, does not change under a late writer.";
            uploads::an_aborted_upload_is_gone, ANY, "`upload_part` fails with `UploadGone` after abort.";
            uploads::aborting_again_succeeds, ANY, "An upload that is already gone is a success.";
            uploads::aborting_after_completion_leaves_the_object, ANY, "A completed object is left alone.";
            uploads::uploads_at_once_do_not_mix, ANY, "Uploads are known by their own names.";
            uploads::two_uploads_of_one_key_are_two, ANY, "Uploads are known by their own names, not by their keys.";
            uploads::parts_in_flight_together_keep_their_bytes, ANY, "Parts may be in flight at once.";
            uploads::of_two_writers_of_one_part_the_tag_decides, ANY, "Each acknowledged part has its own tag.";
            uploads::a_large_upload_reads_back_whole, ANY, "An upload may be larger than what memory should hold.";
            uploads::listed_uploads_can_be_aborted, ANY, "`list_uploads` answers uploads in progress whose keys begin with `prefix`.";
            uploads::a_listing_of_uploads_keeps_to_its_bounds, ANY, "`list_uploads` answers up to `limit`, keys greater than `start_after`.";
            uploads::finished_uploads_are_not_listed, ANY, "`list_uploads` answers uploads in progress.";
            uploads::an_upload_the_store_never_knew_is_gone, ANY, "`UploadGone`: the upload is unknown to the store.";
        }
    };
}

/// Every case, in the order of the trait.
pub const CASES: &[Case] = conformance_cases! { rows table () };
