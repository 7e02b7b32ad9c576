//! The routing table and its index, on the in-memory fakes.

mod processes;
mod table;
