//! limits

pub(crate) mod concurrent;
pub(crate) mod hooks;
pub(crate) mod in_flight;
pub(crate) mod throttle;
