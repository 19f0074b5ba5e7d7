//! The lists of all cases, and what is made of them: tests, names, and the way from a name to its case.

use crate::{CaseResult, Harness, ResultsHarness, Scene};
use futures_util::future::LocalBoxFuture;

/// Writes one `#[test]` per case of the broker contract, in modules named as the groups are, each on a runtime of its own
/// with four threads.
///
/// The argument is an expression that makes a [`Harness`](crate::Harness); it is evaluated once per case, inside the
/// runtime, and may use `.await`. To test several harnesses in one file, put each call into a module of its own. A case
/// that is left out passes, and says so on the standard error output, past the test runner.
///
/// ```
/// # use taskq::InMemoryBroker as MyBroker;
/// use taskq_conformance::{Harness, broker_suite};
///
/// struct MyHarness(MyBroker);
///
/// impl Harness for MyHarness {
///     type Broker = MyBroker;
///     async fn connect(&self) -> MyBroker {
///         self.0.clone()
///     }
/// }
///
/// broker_suite!(MyHarness(MyBroker::new()));
/// ```
#[macro_export]
macro_rules! broker_suite {
    ($harness:expr $(,)?) => {
        $crate::__broker_cases! { __tests test_broker $harness; }
    };
}

/// Writes one `#[test]` per case of the contract of result backends, as [`broker_suite!`](crate::broker_suite) does for
/// brokers.
///
/// The argument is an expression that makes a [`ResultsHarness`](crate::ResultsHarness).
///
/// ```
/// # use taskq::InMemoryResults as MyResults;
/// use taskq_conformance::{ResultsHarness, results_suite};
///
/// struct MyHarness(MyResults);
///
/// impl ResultsHarness for MyHarness {
///     type Results = MyResults;
///     async fn connect(&self) -> MyResults {
///         self.0.clone()
///     }
/// }
///
/// results_suite!(MyHarness(MyResults::new()));
/// ```
#[macro_export]
macro_rules! results_suite {
    ($harness:expr $(,)?) => {
        $crate::__results_cases! { __tests test_results $harness; }
    };
}

/// Every case of the broker contract, given to the macro that is named. Not for use by hand.
#[doc(hidden)]
#[macro_export]
macro_rules! __broker_cases {
    ($what:ident $($given:tt)*) => {
        $crate::$what! { $($given)*
            publish {
                a_message_arrives_as_it_was_published
                any_bytes_may_be_a_body
                a_body_of_one_mebibyte_arrives_whole
                a_dead_letter_arrives_with_its_epitaph
                publishing_to_an_unknown_queue_is_unroutable_and_creates_nothing
                a_publish_resolves_after_the_message_was_taken
                order_is_kept_for_one_consumer
                a_hundred_concurrent_publishes_all_arrive
                publish_many_gives_one_outcome_each_in_order
            }
            settle {
                an_acked_message_is_gone
                a_requeued_message_comes_again_in_its_old_place
                a_message_may_be_requeued_fifty_times
                a_dropped_delivery_comes_again
                what_a_dropped_consumer_held_comes_again
                settling_out_of_order_settles_each_by_itself
                settling_after_stop_counts
                settling_after_close_does_nothing
                settling_after_an_interruption_does_nothing
            }
            prefetch {
                no_more_than_prefetch_are_unsettled
                settling_one_frees_one
                two_consumers_share_a_queue_without_duplicates
                a_full_consumer_does_not_hold_up_another
            }
            delay {
                a_delayed_message_does_not_come_before_it_is_due
                a_delayed_message_arrives_as_it_was_published
                a_short_delay_is_not_held_up_by_a_long_one
                a_delayed_publish_to_an_unknown_queue_is_unroutable
                delayed_messages_come_to_their_own_queue
                a_delayed_message_outlives_its_publisher
                a_delayed_message_outlives_an_interruption
                a_broker_without_delays_refuses_them
            }
            priority {
                higher_priorities_come_first
                a_message_keeps_its_priority
                a_requeued_message_keeps_its_rank
                a_broker_without_priorities_refuses_them
            }
            lifecycle {
                declaring_twice_does_nothing
                declaring_differently_is_a_mismatch
                declaring_makes_the_queue_of_dead_letters
                queues_with_similar_names_keep_their_messages_apart
                inspect_counts_messages_and_consumers
                consuming_from_an_unknown_queue_is_unroutable
                a_waiting_consumer_receives_what_comes_later
                stop_ends_the_consumer_and_gives_back_what_was_not_taken
                close_ends_consumers_and_refuses_what_comes_after
                what_was_unsettled_at_close_comes_again
                consuming_resumes_after_an_interruption
            }
            poison {
                an_unreadable_message_arrives_as_it_came
                unreadable_messages_do_not_hold_up_a_good_one
                an_unreadable_message_can_be_dead_lettered
            }
            load {
                nothing_is_lost_or_doubled_under_load
            }
        }
    };
}

/// Every case of the contract of result backends, given to the macro that is named. Not for use by hand.
#[doc(hidden)]
#[macro_export]
macro_rules! __results_cases {
    ($what:ident $($given:tt)*) => {
        $crate::$what! { $($given)*
            store {
                a_stored_record_is_fetched_as_it_was
                nothing_is_fetched_where_nothing_was_stored
                a_record_is_gone_after_its_time_to_live
                the_first_record_of_a_round_wins_and_is_returned
                a_higher_round_replaces_a_lower_one
                a_lower_round_is_not_taken
                what_is_stored_together_fares_as_it_would_alone
                of_many_that_store_at_once_exactly_one_wins
                every_kind_of_end_comes_back_whole
                an_empty_value_and_one_of_a_mebibyte_come_back_whole
                any_id_that_may_be_used_can_be_used
            }
            wait {
                a_wait_ends_when_the_record_is_stored
                a_wait_ends_when_another_connection_stores
                a_wait_for_what_is_there_ends_at_once
                a_wait_for_a_higher_round_is_not_ended_by_an_older_record
                a_wait_is_ended_by_a_higher_round_than_it_asked_for
                a_hundred_waits_for_one_task_all_end
                a_hundred_waits_for_a_hundred_tasks_all_end
                a_dropped_wait_does_not_disturb_the_others
                a_record_stored_while_the_wait_begins_is_not_missed
            }
            steps {
                steps_are_noted_as_they_come
                queued_never_replaces_another_step
                a_step_is_gone_after_its_time_to_live
            }
            claims {
                of_many_that_claim_at_once_exactly_one_runs
                the_owner_of_a_claim_may_ask_again
                a_claim_that_is_given_back_is_free
                a_claim_that_is_held_outlasts_its_lease
                a_mark_keeps_copies_away_until_its_run_ends
                a_look_tells_of_claims_and_ends_and_claims_nothing
                what_was_carried_out_is_not_run_again
                a_run_without_a_claim_can_be_noted_as_carried_out
                nothing_is_noted_while_another_holds_the_claim
                an_attempt_waits_for_the_one_before_it
                an_ended_task_answers_with_its_record
                what_follows_an_end_is_left_to_the_holder_of_the_claim
                a_chosen_id_is_free_again_when_its_end_is_forgotten
                starts_that_end_without_a_word_are_counted
            }
        }
    };
}

/// One test per case. Not for use by hand.
#[doc(hidden)]
#[macro_export]
macro_rules! __tests {
    ($run:ident $harness:expr; $($group:ident { $($case:ident)+ })+) => {
        $(
            mod $group {
                #[allow(unused_imports)]
                use super::*;

                $(
                    #[test]
                    fn $case() -> $crate::CaseResult {
                        let test = concat!(module_path!(), "::", stringify!($case));
                        let case = concat!(stringify!($group), "::", stringify!($case));
                        $crate::__private::$run(test, async { $harness }, case)
                    }
                )+
            }
        )+
    };
}

/// The names of the cases that it is given.
macro_rules! case_names {
    ($($group:ident { $($case:ident)+ })+) => {
        &[$($(concat!(stringify!($group), "::", stringify!($case))),+),+]
    };
}
pub(crate) use case_names;

/// The case of this name among those that it is given, begun on `$on`.
macro_rules! find_case {
    ($name:expr, $on:expr; $($group:ident { $($case:ident)+ })+) => {
        match $name {
            $($(concat!(stringify!($group), "::", stringify!($case)) => Some(Box::pin($group::$case($on))),)+)+
            _ => None,
        }
    };
}
pub(crate) use find_case;

/// The names of all cases of the broker contract, such as `settle::an_acked_message_is_gone`, in the order of the suite.
///
/// ```
/// use taskq_conformance::BROKER_CASES;
///
/// assert!(BROKER_CASES.contains(&"delay::a_short_delay_is_not_held_up_by_a_long_one"));
/// ```
pub const BROKER_CASES: &[&str] = crate::__broker_cases!(case_names);

/// The names of all cases of the contract of result backends, such as `wait::a_wait_ends_when_the_record_is_stored`, in
/// the order of the suite.
///
/// ```
/// use taskq_conformance::RESULTS_CASES;
///
/// assert!(RESULTS_CASES.contains(&"store::the_first_record_of_a_round_wins_and_is_returned"));
/// ```
pub const RESULTS_CASES: &[&str] = crate::__results_cases!(case_names);

pub(crate) fn broker_case<'a, H: Harness>(name: &str, scene: &'a Scene<H>) -> Option<LocalBoxFuture<'a, CaseResult>> {
    use crate::{delay, lifecycle, load, poison, prefetch, priority, publish, settle};
    crate::__broker_cases!(find_case name, scene;)
}

pub(crate) fn results_case<'a, H: ResultsHarness>(
    name: &str,
    harness: &'a H,
) -> Option<LocalBoxFuture<'a, CaseResult>> {
    use crate::results::{claims, steps, store, wait};
    crate::__results_cases!(find_case name, harness;)
}
