//! Results inside this process: the same contract as a server's, nothing to start.

use super::{
    claims::{Decision, Notes},
    expiring::Expiring,
    key::Key,
};
use crate::{
    BoxFuture,
    claims::{Bid, Claim, ClaimAnswer, Hold, Mark, RunId},
    defaults::{CLAIM_LEASE, CLAIM_TTL},
    error::ResultError,
    id::TaskId,
    record::ResultRecord,
    results::ResultBackend,
    status::Step,
};
use foldhash::HashMap;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use tokio::{sync::oneshot, time::Instant};

/// Keeps results in this process, each for its time to live, and wakes those who wait for them.
///
/// A clone is another handle on the same results. Time to live follows `tokio::time::pause`. What has expired is never
/// given out; its memory is freed by later writes. There is no other limit than the time to live: a process that keeps
/// many large results for long needs the memory for them.
///
/// ```
/// # use taskq::{End, InMemoryResults, ResultBackend, ResultRecord, TaskId};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), taskq::ResultError> {
/// let results = InMemoryResults::new();
/// let id = TaskId::new();
/// let record = ResultRecord::new(End::Cancelled, "chat.process");
/// assert_eq!(results.store(&id, &record, std::time::Duration::from_secs(60)).await?, None);
/// assert_eq!(results.wait(&id, 0).await?, record);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct InMemoryResults {
    shelf: Arc<Mutex<Shelf>>,
}

impl InMemoryResults {
    /// An empty store of its own.
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/tasks.rs"));
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// # use taskq::{BrokerExt, InMemoryBroker, InMemoryResults, ResultBackend};
    /// let results = InMemoryResults::new();
    /// let app = InMemoryBroker::new().with_result_backend(results.clone()).register::<Add>();
    /// let handle = add(2, 3).kiq().on(&app).await?;
    /// handle.wait_result().await?;
    /// assert!(results.fetch(handle.id()).await?.is_some());
    /// assert!(InMemoryResults::new().fetch(handle.id()).await?.is_none());
    /// # Ok(()) }
    /// ```
    pub fn new() -> Self {
        InMemoryResults::default()
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // Nothing panics while it holds the lock, and every change is complete in itself.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ResultBackend for InMemoryResults {
    fn store<'a>(
        &'a self,
        id: &'a TaskId,
        record: &'a ResultRecord,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
        Box::pin(async move {
            let (key, record) = (Key::of(id), Arc::new(record.clone()));
            let stored = self.shelf().store(&key, &record, ttl);
            Ok(match stored {
                Stored::Kept(waiters) => {
                    waiters.into_iter().for_each(|waiter| waiter.tell(&record));
                    None
                }
                Stored::Earlier(earlier) => Some(Arc::unwrap_or_clone(earlier)),
            })
        })
    }

    fn fetch<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<ResultRecord>, ResultError>> {
        Box::pin(async move {
            let kept = self.shelf().kept(&Key::of(id), 0, Instant::now());
            Ok(kept.map(Arc::unwrap_or_clone))
        })
    }

    fn wait<'a>(&'a self, id: &'a TaskId, round: u32) -> BoxFuture<'a, Result<ResultRecord, ResultError>> {
        Box::pin(async move {
            let key = Key::of(id);
            let asked = self.shelf().fetch_or_wait(&key, round);
            let record = match asked {
                Ok(record) => record,
                Err(told) => Waiting { shelf: &self.shelf, key, told }.await,
            };
            Ok(Arc::unwrap_or_clone(record))
        })
    }

    fn tracks(&self) -> bool {
        true
    }

    fn track<'a>(&'a self, id: &'a TaskId, step: Step, ttl: Duration) -> BoxFuture<'a, Result<(), ResultError>> {
        Box::pin(async move {
            let (key, steps, now) = (Key::of(id), &mut self.shelf().steps, Instant::now());
            if step != Step::Queued || steps.get(&key, now).is_none() {
                steps.put(&key, step, now, ttl);
            }
            Ok(())
        })
    }

    fn step<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<Step>, ResultError>> {
        Box::pin(async move { Ok(self.shelf().steps.get(&Key::of(id), Instant::now()).copied()) })
    }

    fn claim<'a>(&'a self, bid: &'a Bid) -> BoxFuture<'a, Result<Option<ClaimAnswer>, ResultError>> {
        Box::pin(async move {
            let (decision, ended) = self.shelf().claim(bid);
            Ok(Some(match (decision, ended) {
                (Decision::Run(lost, claim), _) => {
                    let held = Held { shelf: self.shelf.clone(), run: bid.run.clone(), claim };
                    ClaimAnswer::Run(Claim::new(lost, Box::new(held)))
                }
                (Decision::Free, _) => ClaimAnswer::Free,
                (Decision::Suspect(silent), _) => ClaimAnswer::Suspect { silent },
                (Decision::Elsewhere, _) => ClaimAnswer::Elsewhere { lease: CLAIM_LEASE },
                (Decision::Ended, Some(record)) => ClaimAnswer::Ended(Box::new(Arc::unwrap_or_clone(record))),
                (Decision::CarriedOut | Decision::Ended, _) => ClaimAnswer::CarriedOut,
                (Decision::Poison(silent), _) => ClaimAnswer::Poison { silent },
            }))
        })
    }

    fn mark<'a>(&'a self, id: &'a TaskId) -> BoxFuture<'a, Result<Option<Mark>, ResultError>> {
        Box::pin(async move {
            let key = Key::of(id);
            *self.shelf().marked.entry(key.clone()).or_default() += 1;
            Ok(Some(Mark::new(Marked { shelf: self.shelf.clone(), key })))
        })
    }

    fn carried_out<'a>(&'a self, bid: &'a Bid, ended: bool, ttl: Duration) -> BoxFuture<'a, Result<(), ResultError>> {
        Box::pin(async move {
            let key = Key::of(&bid.run.task);
            self.shelf().note(&key, ttl, |notes| notes.carried_out(bid, ended));
            Ok(())
        })
    }
}

impl fmt::Debug for InMemoryResults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shelf = self.shelf();
        f.debug_struct("InMemoryResults")
            .field("records", &shelf.records.len())
            .field("waited_for", &shelf.waited.len())
            .finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Shelf {
    records: Expiring<Arc<ResultRecord>>,
    steps: Expiring<Step>,
    claims: Expiring<Notes>,
    /// How many runs of a task go on that need no claim.
    marked: HashMap<Key, usize>,
    /// Only what someone waits for at present.
    waited: HashMap<Key, Vec<Waiter>>,
}

/// Somebody who waits for the record of this round, or of a later one.
struct Waiter {
    round: u32,
    tell: oneshot::Sender<Arc<ResultRecord>>,
}

impl Waiter {
    fn tell(self, record: &Arc<ResultRecord>) {
        // Who does not wait any more needs none.
        let _ = self.tell.send(record.clone());
    }
}

/// What became of a record.
enum Stored {
    /// These are to be told of it.
    Kept(Vec<Waiter>),
    /// There is one of this round already, or of a later one.
    Earlier(Arc<ResultRecord>),
}

impl Shelf {
    /// The record of this round, or of a higher one.
    fn kept(&self, key: &Key, round: u32, now: Instant) -> Option<Arc<ResultRecord>> {
        self.records.get(key, now).filter(|record| record.round >= round).cloned()
    }

    fn store(&mut self, key: &Key, record: &Arc<ResultRecord>, ttl: Duration) -> Stored {
        let now = Instant::now();
        if let Some(kept) = self.kept(key, record.round, now) {
            return Stored::Earlier(kept);
        }
        self.records.put(key, record.clone(), now, ttl);
        let Some(waiters) = self.waited.remove(key) else { return Stored::Kept(Vec::new()) };
        let (told, others): (Vec<_>, Vec<_>) = waiters.into_iter().partition(|waiter| waiter.round <= record.round);
        if !others.is_empty() {
            self.waited.insert(key.clone(), others);
        }
        Stored::Kept(told)
    }

    fn fetch_or_wait(
        &mut self,
        key: &Key,
        round: u32,
    ) -> Result<Arc<ResultRecord>, oneshot::Receiver<Arc<ResultRecord>>> {
        if let Some(kept) = self.kept(key, round, Instant::now()) {
            return Ok(kept);
        }
        let (tell, told) = oneshot::channel();
        self.waited.entry(key.clone()).or_default().push(Waiter { round, tell });
        Err(told)
    }

    fn claim(&mut self, bid: &Bid) -> (Decision, Option<Arc<ResultRecord>>) {
        let key = Key::of(&bid.run.task);
        let ended = self.kept(&key, bid.run.round, Instant::now());
        let is_marked = !bid.original && self.marked.contains_key(&key);
        let decision = match ended {
            None if is_marked => Decision::Elsewhere,
            _ => self.note(&key, CLAIM_TTL, |notes| notes.bid(bid, ended.as_deref())),
        };
        (decision, ended)
    }

    fn note<T>(&mut self, key: &Key, ttl: Duration, change: impl FnOnce(&mut Notes) -> T) -> T {
        let now = Instant::now();
        let mut notes = self.claims.get(key, now).cloned().unwrap_or_default();
        let answer = change(&mut notes);
        self.claims.put(key, notes, now, ttl);
        answer
    }
}

/// A claim that is held. Nobody else in this process can take it over: it has no lease that could end.
struct Held {
    shelf: Arc<Mutex<Shelf>>,
    run: RunId,
    claim: u64,
}

impl Held {
    fn release(&self, is_silent: bool) {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.note(&Key::of(&self.run.task), CLAIM_TTL, |notes| notes.release(&self.run, self.claim, is_silent));
    }
}

impl Hold for Held {
    fn begin(&self) -> BoxFuture<'_, Result<bool, ResultError>> {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = shelf.note(&Key::of(&self.run.task), CLAIM_TTL, |notes| notes.begin(&self.run, self.claim));
        Box::pin(async move { Ok(begun) })
    }

    fn give_back(self: Box<Self>) -> BoxFuture<'static, Result<(), ResultError>> {
        self.release(false);
        Box::pin(async { Ok(()) })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Without effect after it was given back or carried out.
        self.release(true);
    }
}

/// A run that needs no claim goes on.
struct Marked {
    shelf: Arc<Mutex<Shelf>>,
    key: Key,
}

impl Drop for Marked {
    fn drop(&mut self) {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runs) = shelf.marked.get_mut(&self.key) {
            *runs -= 1;
            if *runs == 0 {
                shelf.marked.remove(&self.key);
            }
        }
    }
}

/// One wait for a record; it leaves nothing behind when it is dropped.
struct Waiting<'a> {
    shelf: &'a Mutex<Shelf>,
    key: Key,
    told: oneshot::Receiver<Arc<ResultRecord>>,
}

impl Future for Waiting<'_> {
    type Output = Arc<ResultRecord>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Arc<ResultRecord>> {
        match Pin::new(&mut self.told).poll(cx) {
            Poll::Ready(Ok(record)) => Poll::Ready(record),
            // The sender is kept until it tells.
            Poll::Ready(Err(_)) | Poll::Pending => Poll::Pending,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.told.is_terminated() {
            return;
        }
        self.told.close();
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waiters) = shelf.waited.get_mut(&self.key) {
            waiters.retain(|waiter| !waiter.tell.is_closed());
            if waiters.is_empty() {
                shelf.waited.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::End;

    const TTL: Duration = Duration::from_secs(60);

    fn record(round: u32) -> ResultRecord {
        ResultRecord { round, ..ResultRecord::new(End::Expired, "t") }
    }

    #[tokio::test(start_paused = true)]
    async fn expired_records_free_their_memory_as_others_come() {
        let results = InMemoryResults::new();
        for _ in 0..1_000 {
            results.store(&TaskId::new(), &record(0), TTL).await.unwrap();
        }
        tokio::time::advance(TTL).await;
        for _ in 0..400 {
            results.store(&TaskId::new(), &record(0), TTL).await.unwrap();
        }
        let shelf = results.shelf();
        assert_eq!((shelf.records.len(), shelf.records.looks()), (400, 400));
    }

    #[tokio::test(start_paused = true)]
    async fn the_room_of_expired_records_is_given_back() {
        let results = InMemoryResults::new();
        for _ in 0..10_000 {
            results.store(&TaskId::new(), &record(0), TTL).await.unwrap();
        }
        tokio::time::advance(TTL).await;
        for _ in 0..5_000 {
            results.store(&TaskId::new(), &record(0), TTL / 10).await.unwrap();
            tokio::time::advance(TTL / 100).await;
        }
        let records = &results.shelf().records;
        assert!(records.len() < 20 && records.room() < 200, "{} of {}", records.len(), records.room());
    }

    #[tokio::test(start_paused = true)]
    async fn a_replaced_step_leaves_nothing_behind() {
        let results = InMemoryResults::new();
        let id = TaskId::new();
        for _ in 0..100 {
            results.track(&id, Step::Running, TTL).await.unwrap();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert_eq!(results.shelf().steps.looks(), 1);
    }

    #[tokio::test]
    async fn a_dropped_wait_leaves_nothing_behind() {
        let results = InMemoryResults::new();
        let id = TaskId::new();
        let first = results.wait(&id, 0);
        let mut second = results.wait(&id, 0);
        drop(first);
        assert!(futures_util::poll!(&mut second).is_pending());
        assert_eq!(results.shelf().waited.len(), 1);
        results.store(&id, &record(0), TTL).await.unwrap();
        second.await.unwrap();
        assert_eq!(results.shelf().waited.len(), 0);
    }
}
