//! The ways in which the broker under test can be wrong.

/// One way to break the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// None: the contract is kept.
    None,

    /// Labels do not travel.
    DropsLabels,
    /// Bodies are taken for text.
    TakesBodiesForText,
    /// Bodies are cut at 64 KiB.
    CutsBodies,
    /// Epitaphs do not travel.
    DropsEpitaphs,
    /// What no queue takes is confirmed and dropped.
    ConfirmsUnroutable,
    /// Publishing creates the queue.
    CreatesQueues,
    /// A publish is confirmed before the message is in its queue.
    ConfirmsEarly,
    /// Every tenth message comes a little later.
    Reorders,
    /// Every fiftieth message is confirmed and dropped.
    LosesSome,
    /// Every fiftieth message is published twice.
    DoublesSome,
    /// The outcomes of many publishes come in another order.
    MixesOutcomes,

    /// An ack is not heard.
    IgnoresAcks,
    /// What is given back is dropped.
    LosesRequeues,
    /// What is given back goes to the end, without its priority.
    RequeuesToTheEnd,
    /// What comes again does not say so.
    ForgetsRedelivered,
    /// An ack takes along all earlier deliveries.
    AcksAllBefore,
    /// Once a consumer is stopped its deliveries cannot be acked.
    ForgetsAtStop,
    /// A tag of a cut connection is taken for one of the next.
    MixesEpochs,
    /// A message is dropped when it is given back for the twentieth time.
    LimitsRequeues,

    /// Any number of deliveries may be unsettled.
    IgnoresPrefetch,
    /// Only the first consumer of a connection is served.
    ServesOneConsumer,

    /// Delays are halved.
    HalvesDelays,
    /// No delay ends before an earlier publish's.
    QueuesDelays,
    /// The connection keeps delayed messages, and loses them with itself.
    DelaysInTheConnection,
    /// A message for `a.b` goes to `b` too.
    RoutesBySuffix,
    /// It says that it cannot delay, and takes delayed messages.
    DeniesDelays,

    /// Priorities do not travel.
    DropsPriorities,
    /// It says that it has no priorities, and declares queues with them.
    DeniesPriorities,

    /// Declaring a queue again empties it.
    PurgesAtDeclare,
    /// Declaring a queue in another form succeeds.
    OverlooksMismatch,
    /// Queues of dead letters are not declared.
    ForgetsDeadLetters,
    /// A look at a queue sees no consumers.
    MiscountsConsumers,
    /// Consuming creates the queue.
    CreatesQueuesToConsume,
    /// A consumer that found nothing never looks again.
    NeverLooksAgain,
    /// Whatever a consumer holds when it stops is dropped.
    LosesAtStop,
    /// Consumers go on after closing.
    ConsumesAfterClose,
    /// Publishing goes on after closing.
    PublishesAfterClose,
    /// What was unsettled at closing stays so.
    KeepsUnsettledAtClose,
    /// What was unsettled when the connection was cut is dropped.
    LosesWhenCut,
    /// Consumers end when the connection is cut.
    EndsWhenCut,
    /// After a cut connection the prefetch is not set again.
    ForgetsPrefetchWhenCut,

    /// What cannot be read is dropped.
    DropsForeign,
    /// What cannot be read is delivered as a task.
    TakesForeignForTasks,
    /// A consumer stops for good at what it cannot read.
    StopsAtForeign,
}
