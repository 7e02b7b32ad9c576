//! The one codec of esm: CloudEvents lines, cells, backups, zstd and checksums.
