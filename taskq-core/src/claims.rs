//! Claims: who may run a task that may be running elsewhere, or may have run before.

use crate::{BoxFuture, error::ResultError, id::TaskId, record::ResultRecord};
use std::{fmt, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// One run of a task: a claim is on this.
///
/// ```
/// use taskq::{ContentType, Message, RunId};
/// let message = Message::new("order-17".into(), "mail.send", ContentType::Json, b"{}".to_vec().into());
/// let run = RunId::of(&message);
/// assert_eq!((run.task.as_str(), run.round, run.attempt), ("order-17", 0, 1));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunId {
    /// The task's identity.
    pub task: TaskId,
    /// The number of replays from the dead letters.
    pub round: u32,
    /// The number of the run, from 1.
    pub attempt: u32,
}

impl RunId {
    /// The run that `message` asks for.
    ///
    /// ```
    /// # use taskq::{ContentType, Message, RunId};
    /// let mut message = Message::new("order-17".into(), "mail.send", ContentType::Json, b"{}".to_vec().into());
    /// let first = RunId::of(&message);
    /// message.attempt = 2;
    /// assert_ne!(RunId::of(&message), first);
    /// ```
    pub fn of(message: &crate::message::Message) -> Self {
        RunId { task: message.id.clone(), round: message.round, attempt: message.attempt }
    }
}

/// What a worker asks before it runs a task that may be running elsewhere, or may have run before.
///
/// ```
/// use taskq::{Bid, ClaimAnswer, InMemoryResults, ResultBackend, RunId};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), taskq::ResultError> {
/// let results = InMemoryResults::new();
/// let run = RunId { task: "order-17".into(), round: 0, attempt: 2 };
/// let here = results.claim(&Bid::new(run.clone(), "worker-1")).await?;
/// assert!(matches!(here, Some(ClaimAnswer::Run(_))));
/// let there = results.claim(&Bid::new(run, "worker-2")).await?;
/// assert!(matches!(there, Some(ClaimAnswer::Elsewhere { .. })));
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bid {
    /// The run.
    pub run: RunId,
    /// Who asks: a name that no other run has. The same owner may ask again and is given what it has.
    pub owner: Arc<str>,
    /// Nothing else of doubtful past runs in this process beside it.
    pub alone: bool,
    /// The caller chose the id: if the task has ended and nothing of it is kept, this is a new submission.
    pub check: bool,
    /// The message is no copy: a [`Mark`] says nothing about it, for whoever has marked the run had this message, and has
    /// lost it.
    pub original: bool,
    /// Nothing is claimed: the run needs no claim, and wants to know whether anybody has one.
    pub look: bool,
}

impl Bid {
    /// A bid that is not alone, on a task whose id was made by taskq.
    ///
    /// ```
    /// # use taskq::{Bid, RunId};
    /// let run = RunId { task: "order-17".into(), round: 0, attempt: 2 };
    /// assert!(!Bid::new(run, "worker-1").alone);
    /// ```
    pub fn new(run: RunId, owner: impl Into<Arc<str>>) -> Self {
        Bid { run, owner: owner.into(), alone: false, check: false, original: false, look: false }
    }
}

/// What is known of a run that a worker wants to begin.
///
/// See [`Bid`] for an example.
///
/// ```
/// use taskq::ClaimAnswer;
/// fn in_words(answer: &ClaimAnswer) -> String {
///     match answer {
///         ClaimAnswer::Run(_) => "run it".into(),
///         ClaimAnswer::Elsewhere { lease } => format!("another worker has it for {lease:?} at least"),
///         other => format!("not to be run: {other:?}"),
///     }
/// }
/// assert_eq!(in_words(&ClaimAnswer::CarriedOut), "not to be run: CarriedOut");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ClaimAnswer {
    /// It may run here, while the claim is held.
    Run(Claim),
    /// Nobody has it: the answer to a bid that only [looks](Bid::look).
    Free,
    /// Earlier starts of it ended without a word. It may run if nothing else of doubtful past runs beside it in the same
    /// process ([`Bid::alone`]), so that the next such end is known to be its own.
    Suspect {
        /// How many.
        silent: u32,
    },
    /// Another worker runs it, or the attempt before it. Of a marked run too, if the bid is for a copy.
    Elsewhere {
        /// How long that worker's claim holds if it is not renewed.
        lease: Duration,
    },
    /// The task had ended; what follows its end may not have been done.
    Ended(Box<ResultRecord>),
    /// It ran, and what was decided then has been carried out.
    CarriedOut,
    /// So many starts of it ended without a word that it must not be started again.
    Poison {
        /// How many.
        silent: u32,
    },
}

/// The right to run a task, renewed by the backend while this value lives.
///
/// Dropping it without a word is what a killed process does: once its lease has ended, the start counts against the task.
///
/// ```
/// # use taskq::{Bid, ClaimAnswer, InMemoryResults, ResultBackend, RunId};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), taskq::ResultError> {
/// let results = InMemoryResults::new();
/// let bid = Bid::new(RunId { task: "order-17".into(), round: 0, attempt: 2 }, "worker-1");
/// if let Some(ClaimAnswer::Run(claim)) = results.claim(&bid).await? {
///     claim.give_back().await?; // not run after all: the next worker may
/// }
/// assert!(matches!(results.claim(&bid).await?, Some(ClaimAnswer::Run(_))));
/// # Ok(()) }
/// ```
#[must_use = "a claim that is dropped without a word counts against its task"]
pub struct Claim {
    lost: CancellationToken,
    hold: Box<dyn Hold>,
}

/// The backend's side of a [`Claim`]: it renews the claim until it is released or dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), taskq::ResultError> {
/// use std::sync::{Arc, atomic::{AtomicBool, Ordering}};
/// use taskq::{BoxFuture, Claim, Hold, ResultError};
/// use tokio_util::sync::CancellationToken;
///
/// struct Lock(Arc<AtomicBool>);
///
/// impl Hold for Lock {
///     fn give_back(self: Box<Self>) -> BoxFuture<'static, Result<(), ResultError>> {
///         self.0.store(false, Ordering::Release);
///         Box::pin(async { Ok(()) })
///     }
/// }
///
/// let taken = Arc::new(AtomicBool::new(true));
/// let claim = Claim::new(CancellationToken::new(), Box::new(Lock(taken.clone())));
/// claim.give_back().await?;
/// assert!(!taken.load(Ordering::Acquire));
/// # Ok(()) }
/// ```
pub trait Hold: Send + Sync {
    /// Whether nobody has taken the claim over, as [`Claim::is_held`] tells. Asks the store when the lease may have ended
    /// unnoticed. By default there is no lease that could.
    ///
    /// ```
    /// # use taskq::{Hold, ResultError};
    /// async fn may_be_used(hold: &dyn Hold) -> Result<bool, ResultError> {
    ///     hold.is_held().await
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ResultError::Store`] when the store cannot be asked.
    fn is_held(&self) -> BoxFuture<'_, Result<bool, ResultError>> {
        Box::pin(async { Ok(true) })
    }

    /// The run of a suspect is about to begin: only from here on does an end without a word count against the task. Called
    /// by [`Claim::begin`]. `false` if another worker has taken the claim over. By default such an end counts from the claim
    /// on.
    ///
    /// ```
    /// # use taskq::{Hold, ResultError};
    /// async fn may_begin(hold: &dyn Hold) -> Result<bool, ResultError> {
    ///     hold.begin().await
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ResultError::Store`] when the store cannot be asked.
    fn begin(&self) -> BoxFuture<'_, Result<bool, ResultError>> {
        self.is_held()
    }

    /// The run did not take place, or was broken off: nothing counts against the task. Called by [`Claim::give_back`].
    ///
    /// ```
    /// # use taskq::{Hold, ResultError};
    /// async fn not_run(hold: Box<dyn Hold>) -> Result<(), ResultError> {
    ///     hold.give_back().await
    /// }
    /// ```
    fn give_back(self: Box<Self>) -> BoxFuture<'static, Result<(), ResultError>>;
}

impl Claim {
    /// A claim that `hold` keeps; the backend cancels `lost` when another worker has taken the run over.
    ///
    /// ```
    /// # use taskq::{BoxFuture, Claim, Hold, ResultError};
    /// # use tokio_util::sync::CancellationToken;
    /// # struct Lock;
    /// # impl Hold for Lock {
    /// #     fn give_back(self: Box<Self>) -> BoxFuture<'static, Result<(), ResultError>> { Box::pin(async { Ok(()) }) }
    /// # }
    /// let lost = CancellationToken::new();
    /// let claim = Claim::new(lost.clone(), Box::new(Lock));
    /// lost.cancel(); // the store says that it is another's
    /// assert!(claim.is_lost());
    /// ```
    pub fn new(lost: CancellationToken, hold: Box<dyn Hold>) -> Self {
        Claim { lost, hold }
    }

    /// Says that the run of a suspect begins: its process may be ended by others between the claim and here, and the task is
    /// not to be blamed for it. `false` if another worker has taken the claim over.
    ///
    /// ```
    /// # use taskq::{Bid, ClaimAnswer, InMemoryResults, ResultBackend, RunId};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::ResultError> {
    /// let results = InMemoryResults::new();
    /// let mut bid = Bid::new(RunId { task: "order-17".into(), round: 0, attempt: 1 }, "worker-1");
    /// drop(results.claim(&bid).await?); // it ended without a word
    /// assert!(matches!(results.claim(&bid).await?, Some(ClaimAnswer::Suspect { silent: 1 })));
    /// bid.alone = true;
    /// let Some(ClaimAnswer::Run(claim)) = results.claim(&bid).await? else { panic!() };
    /// assert!(claim.begin().await?);
    /// # claim.give_back().await }
    /// ```
    ///
    /// # Errors
    /// [`ResultError::Store`] when the store cannot be asked.
    pub async fn begin(&self) -> Result<bool, ResultError> {
        self.hold.begin().await
    }

    /// Resolves when another worker has taken the run over. Cancel safe.
    ///
    /// ```
    /// # use taskq::Claim;
    /// async fn run(claim: &Claim, task: impl Future<Output = i64>) -> Option<i64> {
    ///     tokio::select! {
    ///         value = task => Some(value),
    ///         () = claim.lost() => None, // it runs elsewhere
    ///     }
    /// }
    /// ```
    pub async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// The same, for whoever has it elsewhere.
    pub(crate) fn ended(&self) -> impl Future<Output = ()> + Send + use<> {
        self.lost.clone().cancelled_owned()
    }

    /// Whether another worker has taken the run over.
    ///
    /// ```
    /// # use taskq::{Bid, ClaimAnswer, InMemoryResults, ResultBackend, RunId};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::ResultError> {
    /// # let results = InMemoryResults::new();
    /// # let bid = Bid::new(RunId { task: "order-17".into(), round: 0, attempt: 2 }, "worker-1");
    /// if let Some(ClaimAnswer::Run(claim)) = results.claim(&bid).await? {
    ///     assert!(!claim.is_lost());
    /// }
    /// # Ok(()) }
    /// ```
    pub fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Whether the run is still this owner's, asked of the store if the claim was not renewed in time: a process that was
    /// stopped for a while has not heard yet what it has lost.
    ///
    /// ```
    /// # use taskq::{Bid, ClaimAnswer, InMemoryResults, ResultBackend, RunId};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::ResultError> {
    /// # let results = InMemoryResults::new();
    /// # let bid = Bid::new(RunId { task: "order-17".into(), round: 0, attempt: 2 }, "worker-1");
    /// if let Some(ClaimAnswer::Run(claim)) = results.claim(&bid).await? {
    ///     // .. the run ..
    ///     assert!(claim.is_held().await?, "another worker has it: its outcome is the one that counts");
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The store cannot be asked.
    pub async fn is_held(&self) -> Result<bool, ResultError> {
        if self.is_lost() { Ok(false) } else { self.hold.is_held().await }
    }

    /// Gives the claim up without a word against the task: it was not run, or its run was broken off. Resolves when the
    /// store has heard of it.
    ///
    /// ```
    /// # use taskq::{Bid, ClaimAnswer, InMemoryResults, ResultBackend, RunId};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), taskq::ResultError> {
    /// # let results = InMemoryResults::new();
    /// # let run = RunId { task: "order-17".into(), round: 0, attempt: 2 };
    /// if let Some(ClaimAnswer::Run(claim)) = results.claim(&Bid::new(run.clone(), "worker-1")).await? {
    ///     claim.give_back().await?;
    /// }
    /// let next = results.claim(&Bid::new(run, "worker-2")).await?;
    /// assert!(matches!(next, Some(ClaimAnswer::Run(_))));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The store cannot be asked. The claim then ends with its lease, and the start counts.
    pub async fn give_back(self) -> Result<(), ResultError> {
        self.hold.give_back().await
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claim").field("is_lost", &self.is_lost()).finish_non_exhaustive()
    }
}

/// That a run goes on which needs no claim, for as long as this value lives.
///
/// The broker gives a message to one worker at a time. But its publisher may have sent it twice, and whoever is given the
/// second one has to learn of the first.
///
/// ```
/// # use taskq::{Bid, ClaimAnswer, InMemoryResults, ResultBackend, RunId};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), taskq::ResultError> {
/// let results = InMemoryResults::new();
/// let run = RunId { task: "order-17".into(), round: 0, attempt: 1 };
/// let mark = results.mark(&run.task).await?;
/// let copy = Bid::new(run, "worker-2");
/// assert!(matches!(results.claim(&copy).await?, Some(ClaimAnswer::Elsewhere { .. })));
/// drop(mark);
/// assert!(matches!(results.claim(&copy).await?, Some(ClaimAnswer::Run(_))));
/// # Ok(()) }
/// ```
#[must_use = "a mark ends when it is dropped"]
pub struct Mark {
    _kept: Box<dyn Send + Sync>,
}

impl Mark {
    /// A mark that ends when `kept` is dropped.
    ///
    /// ```
    /// use std::sync::Arc;
    /// let kept = Arc::new("order-17");
    /// let mark = taskq::Mark::new(kept.clone());
    /// drop(mark);
    /// assert_eq!(Arc::strong_count(&kept), 1);
    /// ```
    pub fn new(kept: impl Send + Sync + 'static) -> Self {
        Mark { _kept: Box::new(kept) }
    }
}

impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mark").finish_non_exhaustive()
    }
}
