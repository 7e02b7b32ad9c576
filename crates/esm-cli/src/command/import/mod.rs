//! `esm import`

mod maps;
mod report;
mod run;

pub(crate) use run::Import;
