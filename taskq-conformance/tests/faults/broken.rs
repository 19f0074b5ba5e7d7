//! Which case notices which fault.

use crate::{Fault, Wired};
use taskq_conformance::{BROKER_CASES, NotPassed, check_broker};

/// One test per fault and case: without the fault the case passes, with it the case says that the contract is broken.
macro_rules! noticed {
    ($($fault:ident by $($group:ident :: $case:ident),+;)+) => {
        $(
            #[allow(non_snake_case)]
            mod $fault {
                use super::*;

                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        let case = concat!(stringify!($group), "::", stringify!($case));
                        let end = check_broker(Wired::new(Fault::$fault), case).await;
                        assert!(matches!(&end, Err(NotPassed::Broken(_))), "{end:?}");
                    }
                )+
            }
        )+

        const NOTICED: &[&str] = &[$($(concat!(stringify!($group), "::", stringify!($case))),+),+];
    };
}

noticed! {
    DropsLabels by
        publish::a_message_arrives_as_it_was_published,
        delay::a_delayed_message_arrives_as_it_was_published;
    TakesBodiesForText by publish::any_bytes_may_be_a_body;
    CutsBodies by publish::a_body_of_one_mebibyte_arrives_whole;
    DropsEpitaphs by
        publish::a_dead_letter_arrives_with_its_epitaph,
        poison::an_unreadable_message_can_be_dead_lettered;
    ConfirmsUnroutable by
        publish::publishing_to_an_unknown_queue_is_unroutable_and_creates_nothing,
        publish::publish_many_gives_one_outcome_each_in_order,
        delay::a_delayed_publish_to_an_unknown_queue_is_unroutable;
    CreatesQueues by
        publish::publishing_to_an_unknown_queue_is_unroutable_and_creates_nothing,
        delay::a_delayed_publish_to_an_unknown_queue_is_unroutable;
    ConfirmsEarly by publish::a_publish_resolves_after_the_message_was_taken;
    Reorders by publish::order_is_kept_for_one_consumer;
    LosesSome by
        publish::a_hundred_concurrent_publishes_all_arrive,
        publish::publish_many_gives_one_outcome_each_in_order,
        load::nothing_is_lost_or_doubled_under_load;
    DoublesSome by
        publish::a_hundred_concurrent_publishes_all_arrive,
        prefetch::two_consumers_share_a_queue_without_duplicates,
        load::nothing_is_lost_or_doubled_under_load;
    MixesOutcomes by publish::publish_many_gives_one_outcome_each_in_order;

    IgnoresAcks by settle::an_acked_message_is_gone;
    LosesRequeues by
        settle::a_requeued_message_comes_again_in_its_old_place,
        settle::a_dropped_delivery_comes_again,
        settle::what_a_dropped_consumer_held_comes_again,
        settle::settling_after_stop_counts,
        load::nothing_is_lost_or_doubled_under_load;
    RequeuesToTheEnd by
        settle::a_requeued_message_comes_again_in_its_old_place,
        priority::a_requeued_message_keeps_its_rank;
    ForgetsRedelivered by
        settle::a_requeued_message_comes_again_in_its_old_place,
        settle::a_dropped_delivery_comes_again,
        settle::what_a_dropped_consumer_held_comes_again,
        load::nothing_is_lost_or_doubled_under_load;
    AcksAllBefore by settle::settling_out_of_order_settles_each_by_itself;
    ForgetsAtStop by settle::settling_after_stop_counts;
    MixesEpochs by settle::settling_after_an_interruption_does_nothing;
    LimitsRequeues by settle::a_message_may_be_requeued_fifty_times;

    IgnoresPrefetch by
        prefetch::no_more_than_prefetch_are_unsettled,
        prefetch::settling_one_frees_one,
        prefetch::two_consumers_share_a_queue_without_duplicates;
    ServesOneConsumer by
        prefetch::a_full_consumer_does_not_hold_up_another;

    HalvesDelays by delay::a_delayed_message_does_not_come_before_it_is_due;
    QueuesDelays by delay::a_short_delay_is_not_held_up_by_a_long_one;
    DelaysInTheConnection by
        delay::a_delayed_message_outlives_its_publisher,
        delay::a_delayed_message_outlives_an_interruption;
    RoutesBySuffix by
        delay::delayed_messages_come_to_their_own_queue,
        lifecycle::queues_with_similar_names_keep_their_messages_apart;
    DeniesDelays by delay::a_broker_without_delays_refuses_them;

    DropsPriorities by
        priority::higher_priorities_come_first,
        priority::a_message_keeps_its_priority;
    DeniesPriorities by priority::a_broker_without_priorities_refuses_them;

    PurgesAtDeclare by lifecycle::declaring_twice_does_nothing;
    OverlooksMismatch by lifecycle::declaring_differently_is_a_mismatch;
    ForgetsDeadLetters by lifecycle::declaring_makes_the_queue_of_dead_letters;
    MiscountsConsumers by lifecycle::inspect_counts_messages_and_consumers;
    CreatesQueuesToConsume by lifecycle::consuming_from_an_unknown_queue_is_unroutable;
    NeverLooksAgain by lifecycle::a_waiting_consumer_receives_what_comes_later;
    LosesAtStop by
        lifecycle::stop_ends_the_consumer_and_gives_back_what_was_not_taken,
        settle::what_a_dropped_consumer_held_comes_again;
    ConsumesAfterClose by lifecycle::close_ends_consumers_and_refuses_what_comes_after;
    PublishesAfterClose by lifecycle::close_ends_consumers_and_refuses_what_comes_after;
    KeepsUnsettledAtClose by
        lifecycle::what_was_unsettled_at_close_comes_again,
        settle::settling_after_close_does_nothing;
    LosesWhenCut by
        lifecycle::consuming_resumes_after_an_interruption,
        settle::settling_after_an_interruption_does_nothing;
    EndsWhenCut by lifecycle::consuming_resumes_after_an_interruption;
    ForgetsPrefetchWhenCut by lifecycle::consuming_resumes_after_an_interruption;

    DropsForeign by
        poison::an_unreadable_message_arrives_as_it_came,
        poison::an_unreadable_message_can_be_dead_lettered;
    TakesForeignForTasks by
        poison::an_unreadable_message_arrives_as_it_came,
        poison::an_unreadable_message_can_be_dead_lettered;
    StopsAtForeign by poison::unreadable_messages_do_not_hold_up_a_good_one;
}

#[test]
fn every_case_notices_some_fault() {
    let unnoticed: Vec<&&str> = BROKER_CASES.iter().filter(|case| !NOTICED.contains(case)).collect();
    assert!(unnoticed.is_empty(), "{unnoticed:?} cannot fail, as far as this file shows");
    assert!(BROKER_CASES.len() > 40, "{BROKER_CASES:?}");
}

#[tokio::test]
async fn a_left_out_case_says_why() {
    let end = check_broker(Wired::new(Fault::DeniesDelays), "delay::a_short_delay_is_not_held_up_by_a_long_one").await;
    assert_eq!(end, Err(NotPassed::LeftOut("this broker has no delays".into())));
}

#[tokio::test]
async fn a_case_that_does_not_exist_is_named() {
    let end = check_broker(Wired::new(Fault::None), "settle::nothing_of_the_kind").await;
    assert_eq!(end, Err(NotPassed::Unknown("settle::nothing_of_the_kind".into())));
}
