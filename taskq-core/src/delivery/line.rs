//! The line that deliveries come by, and whether it still holds.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

/// The line that deliveries come by: a connection, or a subscription on it. While it holds, the broker gives to nobody else what
/// came by it. A broker makes one per line, and each delivery has a clone of it.
///
/// ```
/// use taskq::Line;
/// let line = Line::new();
/// let of_a_delivery = line.clone();
/// line.cut(); // the connection is gone
/// assert!(of_a_delivery.is_cut());
/// ```
#[derive(Clone, Default)]
pub struct Line(Arc<Inner>);

#[derive(Default)]
struct Inner {
    is_cut: AtomicBool,
    watchers: Mutex<Vec<Weak<dyn Watcher>>>,
}

/// Somebody who has to know when a line is cut.
pub(crate) trait Watcher: Send + Sync {
    /// Called on the thread of whoever cuts it. Must not block.
    fn line_is_cut(&self);
}

impl Line {
    /// A line that holds.
    ///
    /// ```
    /// assert!(!taskq::Line::new().is_cut());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Line::default()
    }

    /// From now on the broker may give to somebody else what came by this line and is not settled. Runs that began by it claim
    /// their tasks at once, or end. Doing it again does nothing.
    ///
    /// ```
    /// # let line = taskq::Line::new();
    /// line.cut();
    /// assert!(line.is_cut());
    /// ```
    pub fn cut(&self) {
        self.0.is_cut.store(true, Ordering::Release);
        let watchers = std::mem::take(&mut *self.watchers());
        watchers.iter().filter_map(Weak::upgrade).for_each(|watcher| watcher.line_is_cut());
    }

    /// Whether it was cut.
    ///
    /// ```
    /// # let line = taskq::Line::new();
    /// assert!(!line.is_cut());
    /// ```
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.0.is_cut.load(Ordering::Acquire)
    }

    /// Tells `watcher`, once, when it is cut. Nothing is told of a line that was cut before.
    pub(crate) fn watch(&self, watcher: Weak<dyn Watcher>) {
        let mut watchers = self.watchers();
        watchers.retain(|known| known.strong_count() > 0 && !known.ptr_eq(&watcher));
        watchers.push(watcher);
    }

    /// Whether both are the same line.
    pub(crate) fn is(&self, other: &Line) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn watchers(&self) -> MutexGuard<'_, Vec<Weak<dyn Watcher>>> {
        self.0.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Line").field("is_cut", &self.is_cut()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[derive(Default)]
    struct Told(AtomicUsize);

    impl Watcher for Told {
        fn line_is_cut(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn who_watches_twice_is_told_once_and_who_is_gone_is_forgotten() {
        let (line, told) = (Line::new(), Arc::new(Told::default()));
        let watcher = || -> Arc<dyn Watcher> { told.clone() };
        for _ in 0..3 {
            let gone: Arc<dyn Watcher> = Arc::new(Told::default());
            line.watch(Arc::downgrade(&gone));
            line.watch(Arc::downgrade(&watcher()));
        }
        assert!(line.watchers().len() <= 2);
        line.cut();
        line.cut();
        assert_eq!(told.0.load(Ordering::Relaxed), 1);
    }
}
