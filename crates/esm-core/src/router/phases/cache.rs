//! What an object's stream looked like when this process last saw it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::id::ObjectId;
use crate::router::phases::route::Route;

/// Routes of the objects used last. Hints: what is out of date costs a request.
///
/// Two generations bound it without a clock: when the young one is full it becomes the old one, and
/// what nobody used in the meantime is forgotten.
#[derive(Debug)]
pub(in crate::router) struct RouteCache {
    generations: Mutex<Generations>,
    capacity: AtomicUsize,
}

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<ObjectId, Route>,
    old: HashMap<ObjectId, Route>,
}

impl RouteCache {
    /// Remembers at least this many objects, and at most twice as many.
    pub(in crate::router) fn new(capacity: usize) -> Self {
        Self {
            generations: Mutex::default(),
            capacity: AtomicUsize::new(capacity),
        }
    }

    /// From now on remembers at least this many, and at most twice as many.
    pub(in crate::router) fn resize(&self, capacity: usize) {
        self.capacity.store(capacity, Ordering::Relaxed);
    }

    /// Whether an object's route is remembered, and not in use just now.
    pub(in crate::router) fn knows(&self, object: &ObjectId) -> bool {
        let generations = self.lock();
        generations.young.contains_key(object) || generations.old.contains_key(object)
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        // hints cannot be left half changed
        self.generations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an object's route out: who used it puts back what it knows then.
    pub(in crate::router) fn take(&self, object: &ObjectId) -> Option<Route> {
        let mut generations = self.lock();
        let old = generations.old.remove(object);
        generations.young.remove(object).or(old)
    }

    pub(in crate::router) fn put(&self, object: &ObjectId, route: Route) {
        let capacity = self.capacity.load(Ordering::Relaxed);
        if capacity == 0 {
            return;
        }
        let mut generations = self.lock();
        if generations.young.len() >= capacity {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(object.clone(), route);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{StoreId, StreamId, StreamRef};
    use crate::store::Tail;

    fn object(n: usize) -> ObjectId {
        format!("order/{n}").parse().unwrap()
    }

    fn route(n: usize) -> Route {
        let store = StoreId::from_uuid(uuid::Uuid::nil());
        Route {
            stream: StreamRef::new(store, StreamId::first(&object(n))),
            generation: 0,
            tail: Tail::default(),
            retired: None,
        }
    }

    #[test]
    fn it_stays_bounded_and_keeps_what_was_used_last() {
        let cache = RouteCache::new(10);
        for n in 0..1000 {
            cache.put(&object(n), route(n));
            // one object is used all the time
            let used = cache.take(&object(0)).unwrap();
            cache.put(&object(0), used);
        }
        let generations = cache.lock();
        assert!(generations.young.len() + generations.old.len() <= 20);
        drop(generations);
        assert_eq!(
            cache.take(&object(995)).map(|r| r.stream),
            Some(route(995).stream)
        );
        assert!(cache.take(&object(500)).is_none());
        assert!(cache.take(&object(995)).is_none());
    }

    #[test]
    fn it_may_be_made_smaller_while_it_is_in_use() {
        let cache = RouteCache::new(100);
        for n in 0..150 {
            cache.put(&object(n), route(n));
        }
        assert!(cache.knows(&object(149)) && cache.knows(&object(0)));
        cache.resize(10);
        for n in 200..220 {
            cache.put(&object(n), route(n));
        }
        assert!(!cache.knows(&object(149)) && cache.knows(&object(219)));
    }

    #[test]
    fn without_room_it_remembers_nothing() {
        let cache = RouteCache::new(0);
        cache.put(&object(1), route(1));
        assert!(cache.take(&object(1)).is_none());
    }
}
