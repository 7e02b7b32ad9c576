//! Where an append goes that has met a Close.

use futures::future;

use crate::object::{ChainEnd, KnownStream, chain};
use crate::router::append::outcome::Attempt;
use crate::router::client::ObjectClient;
use crate::router::route::destination::Route;
use crate::store::{Close, Tail};

impl ObjectClient {
    /// The route to the stream that a Close names. What does not depend on each other is read at once:
    /// the first cell of that stream, which must name the closed one (R13) and brings the retired
    /// schemas (R11), its end, and the document. Nothing where the whole chain has to be loaded: then
    /// that says why.
    pub(super) async fn route_behind(
        &self,
        attempt: &Attempt,
        route: &Route,
        close: &Close,
    ) -> Option<Route> {
        let target = close.target.as_ref()?;
        let (stores, documents) = (self.counted.stores(), self.counted.documents());
        let known = KnownStream::new(&attempt.object, target).continuing(close);
        let step = chain::step(stores, &route.stream, close, &known);
        // a version that names the target is new enough
        let (step, document) = future::join(step, documents.newer(&attempt.object)).await;
        let (origin, tail) = step.ok()?;
        let (origin, tail) = (origin.ok()?, tail.ok()?);
        known
            .check(&**stores.of(target).ok()?, (&tail).into())
            .ok()?;
        if tail.close().is_some() || !is_expected(attempt, route, close, &tail) {
            return None;
        }
        let document = document.ok()??;
        // R12: whoever loads the object makes the document follow
        let follows = document.active == *target;
        follows.then(|| Route::behind(&document, tail, origin))
    }
}

/// Whether what an append expects is the end of the stream that a Close names (R8).
fn is_expected(attempt: &Attempt, route: &Route, close: &Close, tail: &Tail) -> bool {
    let (Some(expected), Some(target)) = (&attempt.expected, &close.target) else {
        return true;
    };
    let chain = ChainEnd {
        closes: vec![(route.stream.clone(), close.clone())],
        stream: target.clone(),
        tail: tail.clone(),
    };
    let carried = chain.carry(expected.revision);
    expected.stream == route.stream.stream && carried == Some(tail.next_revision())
}
