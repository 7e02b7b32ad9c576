//! The console over HTTP: what it shows, what it refuses, what it costs.

mod attacks;
mod control;
mod cost;
mod live;
mod pages;
mod sockets;
mod trouble;
mod world;
