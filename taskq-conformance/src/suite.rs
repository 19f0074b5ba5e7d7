//! The list of all cases, as one test each.

/// Writes one `#[test]` per case of the broker contract, in modules named as the groups are, each on a multi-threaded
/// runtime of its own.
///
/// The argument is an expression that makes a [`Harness`](crate::Harness); it is evaluated once per case, inside the
/// runtime, and may use `.await`. To test several harnesses in one file, put each call into a module of its own.
/// The crate's documentation shows an example.
#[macro_export]
macro_rules! broker_suite {
    ($harness:expr $(,)?) => {
        $crate::__broker_cases! { $harness;
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

/// One test per case. Not for use by hand: it may change in any release.
#[doc(hidden)]
#[macro_export]
macro_rules! __broker_cases {
    ($harness:expr; $($group:ident { $($case:ident)+ })+) => {
        $(
            mod $group {
                #[allow(unused_imports)]
                use super::*;

                $(
                    #[test]
                    fn $case() -> $crate::CaseResult {
                        let name = concat!(module_path!(), "::", stringify!($case));
                        $crate::run_case(name, async { $harness }, $crate::$group::$case)
                    }
                )+
            }
        )+
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_in_the_suite() {
        let listed = include_str!("suite.rs");
        let groups = [
            include_str!("publish.rs"),
            include_str!("settle.rs"),
            include_str!("prefetch.rs"),
            include_str!("delay.rs"),
            include_str!("priority.rs"),
            include_str!("lifecycle.rs"),
            include_str!("poison.rs"),
            include_str!("load.rs"),
        ];
        let cases = groups.iter().flat_map(|group| group.lines()).filter_map(|line| line.strip_prefix("pub async fn "));
        let names: Vec<&str> = cases.filter_map(|case| case.split(['<', '(']).next()).collect();
        assert!(names.len() > 40, "{names:?}");
        for name in names {
            let line = format!("                {name}\n");
            assert_eq!(listed.matches(&line).count(), 1, "{name}");
        }
    }
}
