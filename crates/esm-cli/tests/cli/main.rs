//! The real `esm` on a local directory: what it prints, how it ends, what it leaves behind.

mod backups;
mod bad_input;
mod compatibility;
mod esm;
mod export;
mod extremes;
mod hostile;
mod import;
mod importing;
mod interrupted;
mod kept_addresses;
mod looking;
mod lost;
mod machine;
mod maps;
mod migrate;
mod orders;
mod outputs;
mod rollback;
mod sqlite;
mod steering;
mod stores;
mod terminal;
mod transform;
mod verify;
mod wrong_inputs;
