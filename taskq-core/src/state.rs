//! Values that tasks take from the app: a connection pool, a client, a configuration.

use crate::error::BoxError;
use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    fmt,
    ops::Deref,
    sync::Arc,
};

/// The app's values, one per type.
///
/// ```
/// use taskq::{BrokerExt, InMemoryBroker};
/// let app = InMemoryBroker::new().with_state(7_u32);
/// assert_eq!(*app.state().get::<u32>().unwrap(), 7);
/// assert!(app.state().get::<String>().unwrap_err().to_string().contains("with_state"));
/// ```
#[derive(Clone, Default)]
pub struct StateMap(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl StateMap {
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.0.insert(TypeId::of::<T>(), Arc::new(value));
    }

    /// The value of type `T`, shared.
    ///
    /// ```
    /// use taskq::{BrokerExt, InMemoryBroker, State};
    /// struct Smtp { host: String }
    ///
    /// let app = InMemoryBroker::new().with_state(Smtp { host: "localhost".into() });
    /// let smtp: State<Smtp> = app.state().get().unwrap();
    /// assert_eq!(smtp.host, "localhost");
    /// ```
    ///
    /// # Errors
    /// There is none; the error says how to add it.
    pub fn get<T: Send + Sync + 'static>(&self) -> Result<State<T>, BoxError> {
        let found = self.0.get(&TypeId::of::<T>()).cloned().and_then(|value| value.downcast::<T>().ok());
        let name = type_name::<T>();
        found.map(State).ok_or_else(|| format!("the app has no `State<{name}>`; add it with `.with_state(..)`").into())
    }
}

impl fmt::Debug for StateMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateMap({} values)", self.0.len())
    }
}

/// A task's parameter that comes from `.with_state(value)`. Derefs to the value; cloning shares it.
///
/// ```
/// use taskq::State;
/// let greeting = State::new(String::from("hello"));
/// assert_eq!(greeting.len(), 5);
/// ```
pub struct State<T>(pub Arc<T>);

impl<T> State<T> {
    /// A state of one's own, for calling a task's function in a unit test.
    ///
    /// ```
    /// use taskq::State;
    /// fn greet(name: &str, greeting: State<String>) -> String { // a task's function, without its `#[task]`
    ///     format!("{}, {name}", *greeting)
    /// }
    ///
    /// assert_eq!(greet("Ada", State::new("hello".into())), "hello, Ada");
    /// ```
    pub fn new(value: T) -> Self {
        State(Arc::new(value))
    }
}

impl<T> Clone for State<T> {
    fn clone(&self) -> Self {
        State(self.0.clone())
    }
}

impl<T> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("State").field(&self.0).finish()
    }
}
