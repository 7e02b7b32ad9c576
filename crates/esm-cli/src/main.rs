//! `esm`: event stream management from the command line. See the library of this crate.

use std::process::ExitCode;

fn main() -> ExitCode {
    esm_cli::main()
}
