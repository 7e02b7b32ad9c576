//! In-memory fakes, fault injection, conformance suites and sweeps for esm.
