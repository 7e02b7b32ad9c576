//! What a migration is compared with: a plain copy of the same files, each written anew and synced,
//! as a store's are.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;
use tokio::io::AsyncReadExt as _;

/// What is copied.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The directory to copy
    #[arg(long)]
    from: PathBuf,
    /// Where to
    #[arg(long)]
    to: PathBuf,
}

/// Copies, again and again, until standard input ends.
pub(crate) async fn run(options: Options) -> Result<()> {
    let copying = tokio::task::spawn_blocking(move || -> Result<()> {
        loop {
            copy(&options.from, &options.to)?;
            fs::remove_dir_all(&options.to)?;
        }
    });
    let mut nothing = Vec::new();
    let mut input = tokio::io::stdin();
    tokio::select! {
        copied = copying => copied?,
        // the thread runs until the process ends, which is now
        read = input.read_to_end(&mut nothing) => std::process::exit(i32::from(read.is_err())),
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&from, &to)?
        } else {
            let mut file = fs::File::create_new(&to)?;
            file.write_all(&fs::read(&from)?)?;
            file.sync_all()?;
        }
    }
    Ok(())
}
