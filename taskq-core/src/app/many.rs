//! Handing many calls over at once.

use super::App;
use crate::{
    call::IntoKiq,
    defaults::KIQ_MANY_IN_FLIGHT,
    error::{KiqError, KiqManyError},
    handle::TaskHandle,
    kiq::Kiq,
    submit::{Submission, send_all},
    task::Task,
};
use futures_util::{StreamExt, stream};
use std::{future::Future, iter};

/// So many are published by one call of the broker.
const TOGETHER: usize = 50;
const _: () = assert!(TOGETHER <= KIQ_MANY_IN_FLIGHT);

/// The value type of an iterator's calls.
type OutputOf<I> = <<<I as IntoIterator>::Item as IntoKiq>::Task as Task>::Output;

/// All handles, or one answer per call.
type Handles<R> = Result<Vec<TaskHandle<R>>, KiqManyError<R>>;

impl App {
    /// Hands calls over, up to 500 of them in flight, taking them from the iterator as it goes. Resolves to all
    /// handles, in order, when every one is confirmed. All go to this app; a [`Kiq`](crate::Kiq) keeps its other
    /// options.
    ///
    /// Each call has a publish timeout of its own, from when it is taken. Dropping the future takes no further calls;
    /// of those in flight it leaves open whether they were sent, as with a [`Kiq`](crate::Kiq).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> taskq::Result<()> {
    /// use taskq::prelude::*;
    /// # use taskq::{BoxError, Run, Task, TaskConfig};
    /// # struct Square;
    /// # impl Task for Square { type Args = u64; type Output = u64; type Returns = u64; const NAME: &'static str = "square"; const CONFIG: TaskConfig = TaskConfig::new(); }
    /// # impl Run for Square { async fn run(_: TaskContext, n: u64) -> Result<u64, BoxError> { Ok(n * n) } }
    /// # fn square(n: u64) -> Call<Square> { Call::new(n) }
    /// let app = InMemoryBroker::new().register::<Square>();
    /// let handles = app.kiq_many((1..=100).map(square)).await?;
    /// let mut sum = 0;
    /// for handle in handles {
    ///     sum += handle.wait_result().await?.into_value()?;
    /// }
    /// assert_eq!(sum, 338_350);
    /// # Ok(()) }
    /// ```
    pub fn kiq_many<I>(&self, calls: I) -> impl Future<Output = Handles<OutputOf<I>>> + Send + use<I>
    where
        I: IntoIterator<IntoIter: Send>,
        I::Item: IntoKiq,
    {
        let app = self.clone();
        let mut calls = calls.into_iter().fuse();
        async move {
            let groups = iter::from_fn(|| {
                let group = calls.by_ref().take(TOGETHER);
                let group: Vec<_> = group.map(|call| call.into_kiq().on(&app)).collect();
                (!group.is_empty()).then_some(group)
            });
            let sending = stream::iter(groups.map(|group| send_group(&app, group)));
            let outcomes: Vec<_> = sending.buffered(KIQ_MANY_IN_FLIGHT / TOGETHER).collect().await;
            let outcomes: Vec<_> = outcomes.into_iter().flatten().collect();
            if outcomes.iter().any(Result::is_err) {
                return Err(KiqManyError::new(outcomes));
            }
            Ok(outcomes.into_iter().filter_map(Result::ok).collect())
        }
    }
}

async fn send_group<T: Task>(app: &App, group: Vec<Kiq<T>>) -> Vec<Result<TaskHandle<T::Output>, KiqError>> {
    let prepared: Vec<_> = group.into_iter().map(Kiq::prepare).collect();
    let submissions: Vec<&Submission> = prepared.iter().flatten().flatten().collect();
    let mut sent = send_all(app, &submissions).await.into_iter();
    let mut outcomes = Vec::with_capacity(prepared.len());
    for prepared in prepared {
        outcomes.push(match prepared {
            Ok(Ok(submission)) => match sent.next().unwrap_or_else(|| Err(submission.unknown())) {
                Ok(()) => Ok(submission.into_handle::<T>()),
                Err(error) => Err(error),
            },
            Ok(Err(error)) => Err(error),
            Err(under_way) => under_way.await,
        });
    }
    outcomes
}
