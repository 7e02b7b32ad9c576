//! phases

pub(crate) mod cache;
pub(crate) mod known;
pub(crate) mod route;
pub(crate) mod table;
