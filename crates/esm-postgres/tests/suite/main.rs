//! On real servers: what connections, and the layouts of others, are on PostgreSQL 15 and 18.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod connecting;
mod encrypted;
mod in_place;
mod paging;
mod reading;
mod refusals;
mod server;
