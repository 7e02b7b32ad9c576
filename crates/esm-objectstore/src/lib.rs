//! Event streams, records, locks and backups over any object store.
