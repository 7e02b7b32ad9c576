//! Limits of a run: rates, requests in flight, concurrent objects, and the user's hooks.

pub(crate) mod concurrent;
pub(crate) mod hooks;
pub(crate) mod in_flight;
pub(crate) mod lanes;
pub(crate) mod throttle;
