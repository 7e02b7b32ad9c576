//! The routes of the objects that this process used last.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use crate::id::ObjectId;
use crate::router::route::destination::Route;

/// Routes of the objects used last. Hints: an outdated route costs a request.
#[derive(Debug)]
pub(in crate::router) struct RouteCache {
    /// Absent where nothing is remembered.
    routes: Mutex<Option<LruCache<ObjectId, Route>>>,
}

impl RouteCache {
    /// Remembers at most this many objects.
    pub(in crate::router) fn new(capacity: usize) -> Self {
        let cache = Self {
            routes: Mutex::default(),
        };
        cache.resize(capacity);
        cache
    }

    /// From now on remembers at most this many, those used last.
    pub(in crate::router) fn resize(&self, capacity: usize) {
        let mut routes = self.lock();
        let Some(capacity) = NonZeroUsize::new(capacity) else {
            *routes = None;
            return;
        };
        // allocates with use, not for the whole capacity at once
        routes
            .get_or_insert_with(LruCache::unbounded)
            .resize(capacity);
    }

    /// Whether an object's route is remembered, and not in use at present.
    pub(in crate::router) fn knows(&self, object: &ObjectId) -> bool {
        self.lock().as_ref().is_some_and(|r| r.contains(object))
    }

    /// Takes an object's route out: its user puts back what it knows afterwards.
    pub(in crate::router) fn take(&self, object: &ObjectId) -> Option<Route> {
        self.lock().as_mut()?.pop(object)
    }

    pub(in crate::router) fn put(&self, object: &ObjectId, route: Route) {
        if let Some(routes) = self.lock().as_mut() {
            routes.put(object.clone(), route);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<LruCache<ObjectId, Route>>> {
        // hints cannot be left half changed
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
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
        assert_eq!(cache.lock().as_ref().map(LruCache::len), Some(10));
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
        assert!(cache.knows(&object(149)) && cache.knows(&object(50)));
        assert!(
            !cache.knows(&object(49)),
            "it was not used for the longest time"
        );
        cache.resize(10);
        for n in 200..220 {
            cache.put(&object(n), route(n));
        }
        assert!(!cache.knows(&object(149)) && cache.knows(&object(219)));
        assert_eq!(cache.lock().as_ref().map(LruCache::len), Some(10));
    }

    #[test]
    fn without_room_it_remembers_nothing() {
        let cache = RouteCache::new(0);
        cache.put(&object(1), route(1));
        assert!(cache.take(&object(1)).is_none());
    }
}
