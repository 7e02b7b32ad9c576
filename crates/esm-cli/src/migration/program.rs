//! Reads the program of a migration from files.

use std::path::Path;

use esm_core::migration::MigrationBuilder;
use esm_core::{Error, Result};
use esm_jq::MAX_UPCASTER_BYTES;
use esm_view::migration::{Program, ProgramFile, Role};

use crate::exit;

/// The end of the name of a file that holds a step.
const STEP: &str = ".jq";

/// Reads the transformation that the arguments choose: a jq program, or a directory of upcasters.
///
/// # Errors
/// As [`read_program`] and [`read_upcasters`].
pub(crate) async fn chosen_program(
    transform: Option<&Path>,
    upcasters: Option<&Path>,
) -> Result<Option<Program>> {
    match (transform, upcasters) {
        (Some(file), _) => read_program(file).await.map(Some),
        (None, Some(directory)) => read_upcasters(directory).await.map(Some),
        (None, None) => Ok(None),
    }
}

/// Reads a jq program from a file.
///
/// # Errors
/// `NotFound` and other errors of the file system; `Invalid` if it is a directory, or not UTF-8.
pub(crate) async fn read_program(path: &Path) -> Result<Program> {
    if path.is_dir() {
        let message = format!("jq program is a directory: {}", path.display());
        return Err(Error::invalid(message)
            .with_hint("name a file, or give a directory of upcasters with --upcasters"));
    }
    let text = read_text(path).await?;
    Ok(Program::jq(last_name(path), text))
}

/// Reads the upcasters of a directory: its files that end in `.jq`, in the order of their names.
///
/// Hidden files and files of other kinds are left out. A name that ends in `.JQ` or that says versions,
/// as `Placed.v1-v2.jq.txt` does, is taken for a step: compiling refuses it.
///
/// # Errors
/// `NotFound` and other errors of the file system; `Invalid` if there is no step, if a step is no
/// file or not UTF-8, for a directory in it, or if all are larger than 1 MiB together.
pub(crate) async fn read_upcasters(directory: &Path) -> Result<Program> {
    let mut files = Vec::new();
    let mut bytes = 0;
    for file in names_of_steps(directory).await? {
        let path = directory.join(&file);
        bytes += size(&path).await?;
        if bytes > MAX_UPCASTER_BYTES as u64 {
            let shown = directory.display();
            let message = format!("upcasters have more than {MAX_UPCASTER_BYTES} bytes: {shown}");
            return Err(Error::invalid(message).with_hint("migrate with some of the types first"));
        }
        let program = read_text(&path).await?;
        files.push(ProgramFile { file, program });
    }
    if files.is_empty() {
        let message = format!("directory has no upcaster: {}", directory.display());
        return Err(Error::invalid(message)
            .with_hint("name a file for each step: TYPE.vFROM-vTO.jq, such as Placed.v1-v2.jq"));
    }
    Ok(Program::upcasters(last_name(directory), files))
}

async fn names_of_steps(directory: &Path) -> Result<Vec<String>> {
    let failed = |e| exit::io(format_args!("reading upcasters {}", directory.display()), e);
    let mut entries = tokio::fs::read_dir(directory).await.map_err(failed)?;
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().await.map_err(failed)? {
        let name = entry.file_name();
        let shown = name.to_string_lossy();
        if shown.starts_with('.') {
            continue;
        }
        if !may_say_a_step(&shown) {
            refuse_directory(&entry.path()).await?;
            continue;
        }
        let name = name.to_str().ok_or_else(|| {
            let path = directory.join(&name);
            Error::invalid(format!(
                "name of an upcaster is not UTF-8: {}",
                path.display()
            ))
        })?;
        names.push(name.to_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// Whether a name ends as that of a step, or has versions in it.
fn may_say_a_step(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let versions = |(at, found): (usize, &str)| {
        let from = &name[at + found.len()..];
        let to = from[digits(from)..].strip_prefix("-v");
        digits(from) > 0 && to.is_some_and(|to| digits(to) > 0)
    };
    name.ends_with(STEP) || name.match_indices(".v").any(versions)
}

/// Steps in a directory of its own would be left out unseen.
async fn refuse_directory(path: &Path) -> Result<()> {
    let metadata = tokio::fs::metadata(path).await;
    if metadata.is_ok_and(|metadata| metadata.is_dir()) {
        let message = format!("upcasters have a directory among them: {}", path.display());
        return Err(Error::invalid(message)
            .with_hint("move its steps to the others, and the directory elsewhere"));
    }
    Ok(())
}

/// The size of a file, which may not be another thing.
async fn size(path: &Path) -> Result<u64> {
    let shown = path.display();
    let metadata = tokio::fs::metadata(path).await;
    let metadata = metadata.map_err(|e| exit::io(format_args!("reading {shown}"), e))?;
    if metadata.is_file() {
        Ok(metadata.len())
    } else {
        Err(Error::invalid(format!("upcaster is not a file: {shown}")))
    }
}

async fn read_text(path: &Path) -> Result<String> {
    let shown = path.display();
    let bytes = tokio::fs::read(path).await;
    let bytes = bytes.map_err(|e| exit::io(format_args!("reading {shown}"), e))?;
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        Error::invalid(format!("jq program is not UTF-8 at byte {at}: {shown}"))
            .with_hint("save the program as UTF-8 text")
    })
}

/// The last part of a path.
fn last_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Keeps a program in the plan of a migration.
pub(crate) fn annotate(
    program: &Program,
    role: Role,
    builder: MigrationBuilder,
) -> MigrationBuilder {
    let annotations = program.annotations(role).into_iter();
    annotations.fold(builder, |builder, (key, text)| builder.annotate(key, text))
}
