//! Configuration files: named stores, and defaults of the global options.
//!
//! - `document` reads a file, and refuses what it does not know, with the line;
//! - `files` finds the files: one of the user, and one of the working directory;
//! - `settings` finds the value of an option, and where it comes from.
//!
//! The file of the working directory may come with a directory that somebody else wrote. It can name
//! stores and set harmless defaults. It cannot say which store a command uses that names none, nor
//! give another meaning to a name of the user's file.

mod document;
mod files;
mod settings;

pub(crate) use files::Config;
pub(crate) use settings::{Finder, Settings, choice, chosen, parsed};
