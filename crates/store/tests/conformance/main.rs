//! What a store promises, held against both databases: one suite of functions, run on each.
//!
//! What only one of them can do wrong (a full disk, a killed process, a lost connection) is in
//! `sqlite_faults.rs` and `postgres_faults.rs`. PostgreSQL is started by the tests themselves.

#[path = "../support/cluster.rs"]
mod cluster;

mod chain;
mod commits;
mod leases;
mod place;
mod postgres_faults;
mod reads;
mod sqlite_faults;
mod watching;

/// Runs each function of the suite on each database.
macro_rules! on_both {
    ($($module:ident :: $test:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let place = crate::place::Place::sqlite();
                    crate::place::within(crate::$module::$test(place)).await;
                }
            )*
        }
        mod postgres {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $test() {
                    let place = crate::place::Place::postgres();
                    crate::place::within(crate::$module::$test(place)).await;
                }
            )*
        }
    };
}

on_both!(
    chain::every_record_covers_the_one_before,
    chain::what_was_meddled_with_is_found,
    chain::replicas_make_one_chain,
    chain::pruning_keeps_the_chain,
    chain::a_meddled_pruning_is_found,
    chain::what_is_older_than_the_chain_is_not_judged,
    commits::expectations_are_checked,
    commits::a_batch_is_all_or_nothing,
    commits::a_later_write_sees_an_earlier_one,
    commits::deleting_needs_something_to_delete,
    commits::one_bad_batch_of_three,
    commits::awkward_texts_come_back_as_they_were,
    commits::commits_whose_callers_left_are_whole,
    commits::concurrent_changes_of_one_object_are_not_lost,
    leases::a_lease_is_taken_renewed_and_taken_over,
    leases::a_deposed_leader_cannot_write,
    leases::replicas_check_in,
    leases::blobs_are_kept_by_their_digests,
    reads::history_and_at_revision,
    reads::an_audit_is_filtered,
    reads::compaction_bounds_history,
    reads::names_are_in_byte_order,
    reads::a_hundred_thousand_objects,
    reads::two_may_open_an_empty_database_at_once,
    reads::a_newer_schema_is_refused,
    watching::every_revision_is_seen_once,
    watching::a_snapshot_is_of_one_moment,
    watching::a_commit_wakes_whoever_waits,
);
