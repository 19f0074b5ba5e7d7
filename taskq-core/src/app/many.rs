//! Handing many calls over at once.

use super::App;
use crate::{
    call::IntoKiq,
    defaults::KIQ_MANY_IN_FLIGHT,
    error::{KiqError, KiqManyError},
    handle::TaskHandle,
    task::Task,
};
use futures_util::{StreamExt, stream};
use std::future::Future;

/// The value type of an iterator's calls.
type OutputOf<I> = <<<I as IntoIterator>::Item as IntoKiq>::Task as Task>::Output;

/// All handles, or one answer per call.
type Handles<R> = Result<Vec<TaskHandle<R>>, KiqManyError<R>>;

impl App {
    /// Hands calls over, up to 1,000 of them in flight, taking them from the iterator as it goes. Resolves to all
    /// handles, in order, when every one is confirmed. All go to this app; a [`Kiq`](crate::Kiq) keeps its other options.
    ///
    /// # Errors
    /// [`KiqManyError`] with one answer per call, if any of them was not handed over. The others were.
    pub fn kiq_many<I>(&self, calls: I) -> impl Future<Output = Handles<OutputOf<I>>> + Send + use<I>
    where
        I: IntoIterator<IntoIter: Send>,
        I::Item: IntoKiq,
    {
        let app = self.clone();
        let calls = calls.into_iter();
        async move {
            let sending = stream::iter(calls.map(|call| call.into_kiq().on(&app))).buffered(KIQ_MANY_IN_FLIGHT);
            let outcomes: Vec<Result<_, KiqError>> = sending.collect().await;
            if outcomes.iter().any(Result::is_err) {
                return Err(KiqManyError::new(outcomes));
            }
            Ok(outcomes.into_iter().filter_map(Result::ok).collect())
        }
    }
}
