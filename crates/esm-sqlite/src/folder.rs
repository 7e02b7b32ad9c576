//! The folder of a file: made durably, and on a local disk.

use std::io;
use std::path::Path;

use esm_core::{Error, ErrorKind, Result};

/// Makes a folder and those that lead to it, each durable in the one above. SQLite itself syncs the
/// folder of its file.
pub(crate) fn create(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(above) = folder.parent() {
        create(above)?;
    }
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    #[cfg(unix)]
    if let Some(above) = folder.parent() {
        std::fs::File::open(above)?.sync_all()?;
    }
    Ok(())
}

/// Returns the project's error for one of the file system.
pub(crate) fn error(cause: &io::Error, path: &Path) -> Error {
    let kind = match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::StorageFull,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ErrorKind::PermissionDenied
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename => ErrorKind::Invalid,
        io::ErrorKind::NotFound => ErrorKind::NotFound,
        _ => ErrorKind::Unavailable,
    };
    Error::new(
        kind,
        format!("cannot open the database: {}", path.display()),
    )
    .with_source(cause.to_string())
    .with_hint("the file and its folder must be readable and writable")
}

/// Refuses network file systems: the processes of two machines do not see each other's shared
/// memory, and would both write.
///
/// # Errors
/// `Unsupported`.
#[cfg(target_os = "linux")]
pub(crate) fn check_local(path: &Path) -> Result<()> {
    let Ok(found) = rustix::fs::statfs(path) else {
        // opening the file finds a better error
        return Ok(());
    };
    // the number is 32 bits wide, in a type that differs between machines
    let Some(name) = network_name(found.f_type as u32) else {
        return Ok(());
    };
    Err(Error::unsupported(format!(
        "SQLite cannot share a file on a network file system ({name}): {}",
        path.display()
    ))
    .with_hint("use a local disk, or a store of another kind: a server, a bucket"))
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn check_local(_path: &Path) -> Result<()> {
    Ok(())
}

/// Returns the name of a network file system by the magic number of `statfs(2)`; `None` for every
/// other.
#[cfg(target_os = "linux")]
fn network_name(magic: u32) -> Option<&'static str> {
    match magic {
        0x6969 => Some("NFS"),
        0x517b | 0xfe53_4d42 | 0xff53_4d42 => Some("SMB"),
        0x5346_414f => Some("AFS"),
        0x00c3_6400 => Some("Ceph"),
        0x0bd0_0bd3 => Some("Lustre"),
        0x7375_7245 => Some("Coda"),
        _ => None,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_and_local_ones_are_not_refused() {
        assert_eq!(network_name(0x6969), Some("NFS"));
        assert_eq!(network_name(0xff53_4d42), Some("SMB"));
        // ext4, tmpfs, btrfs, xfs
        for local in [0xef53, 0x0102_1994, 0x9123_683e, 0x5846_5342] {
            assert_eq!(network_name(local), None, "{local:x}");
        }
        assert!(check_local(&std::env::temp_dir()).is_ok());
    }
}
