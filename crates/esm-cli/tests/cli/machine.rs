//! Directories that cannot be written to, mounts that are read-only, disks that are full.
//!
//! Where it takes other rights or another disk, the program is run as a user without privileges, or
//! by a script in a namespace of its own with a small disk.

#![cfg(unix)]

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::esm::{Esm, Ran};
use crate::orders;

const NOBODY: u32 = 65_534;
const CANNOT_MOUNT: i32 = 97;

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .expect("the mode can be set");
}

/// A folder and all below it.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(folders(&path));
        }
    }
    found
}

/// The program as a user whom permissions bind. Root ignores them.
struct Unprivileged<'a> {
    esm: &'a Esm,
    is_root: bool,
}

impl<'a> Unprivileged<'a> {
    fn new(esm: &'a Esm) -> Self {
        let directory = esm.path("");
        let is_root = std::fs::metadata(&directory).expect("a directory").uid() == 0;
        if is_root {
            set_mode(&directory, 0o777);
            let (program, link) = (env!("CARGO_BIN_EXE_esm"), esm.path("esm"));
            if std::fs::hard_link(program, &link).is_err() {
                std::fs::copy(program, &link).expect("the program can be copied");
            }
        }
        Self { esm, is_root }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let given = self.esm.command(arguments);
        if !self.is_root {
            return Ran::new({ given }.output().expect("esm runs"));
        }
        let mut command = Command::new(self.esm.path("esm"));
        command
            .args(given.get_args())
            .env("ESM_STORE", self.esm.url("store"))
            .current_dir(self.esm.path(""))
            .uid(NOBODY)
            .gid(NOBODY);
        Ran::new(command.output().expect("esm runs"))
    }
}

#[test]
fn a_directory_without_permission_is_reported_and_left_alone() {
    let esm = Esm::new();
    let user = Unprivileged::new(&esm);
    let file = esm.file("orders", orders::sorted(2, 3));
    let more = esm.file("more", orders::sorted(3, 4));
    set_mode(Path::new(&file), 0o644);
    set_mode(Path::new(&more), 0o644);

    // no store can be made there
    set_mode(&esm.path(""), 0o555);
    user.run(&["import", &file])
        .failed(8, &["store", "hint: ", "permission"]);
    set_mode(&esm.path(""), 0o777);
    assert!(!esm.path("store").exists());

    user.run(&["import", &file]).succeeded();
    let before = esm.files();
    let folders = folders(&esm.path("store"));
    folders.iter().for_each(|folder| set_mode(folder, 0o555));
    for arguments in [
        vec!["import", more.as_str()],
        vec!["migrate", "--all"],
        vec!["migrate", "order/00000"],
        vec!["backup", "create", "--all"],
    ] {
        user.run(&arguments)
            .failed(8, &[esm.path("store").to_str().unwrap(), "permission"]);
    }
    // reading commands still work
    let exported = user.run(&["export", "--all"]);
    assert_eq!(exported.succeeded().stdout, orders::sorted(2, 3));
    user.run(&["plan", "--all"]).succeeded();
    user.run(&["list"]).succeeded();
    assert_eq!(esm.files(), before, "something was changed");
    folders.iter().for_each(|folder| set_mode(folder, 0o755));
    user.run(&["migrate", "--all"]).succeeded();

    // a permission error is reported as such, not as an absent store
    set_mode(&esm.path("store/documents"), 0o000);
    user.run(&["show", "order/00000"])
        .failed(8, &["permission"]);
    set_mode(&esm.path("store/documents"), 0o755);
}

/// Runs a script with a small disk mounted at `$DISK`; nothing where there can be none.
fn on_a_small_disk(test: &str, esm: &Esm, script: &str) -> Option<Ran> {
    let disk = esm.path("disk");
    std::fs::create_dir(&disk).expect("a folder can be made");
    let script = format!(
        "mount -t tmpfs -o size=512k esm \"$DISK\" || exit {CANNOT_MOUNT}\n\
         export ESM_STORE=\"file://$DISK/store\"\n{script}"
    );
    let namespace = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", &script])
        .env("DISK", &disk)
        .env("ESM", env!("CARGO_BIN_EXE_esm"))
        .current_dir(esm.path(""))
        .output();
    let ran = match namespace {
        Ok(output) => Ran::new(output),
        Err(error) => {
            not_tested(test, &format!("unshare cannot be run: {error}"));
            return None;
        }
    };
    // 1 is also what `unshare` itself ends with; the program has numbers of its own for all of this
    if matches!(ran.code, Some(1 | CANNOT_MOUNT)) {
        not_tested(
            test,
            "no namespace with a file system of its own can be had here",
        );
        return None;
    }
    Some(ran)
}

/// Notes what could not be tested where `cargo xtask test` prints it.
fn not_tested(what: &str, why: &str) {
    match std::env::var_os("ESM_NOT_TESTED") {
        Some(folder) => std::fs::write(Path::new(&folder).join(what), why).expect("a note"),
        None => eprintln!("not tested: {what}: {why}"),
    }
}

/// Lines that do not compress: more than the small disk holds.
fn large_lines() -> String {
    let mut state = 1_u64;
    let mut lines = String::new();
    for sequence in 0..400 {
        let noise: String = (0..500)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                format!("{:08x}", state >> 32)
            })
            .collect();
        let line = orders::line("large", sequence);
        lines.push_str(&line.replace("🛒", &noise));
        lines.push('\n');
    }
    lines
}

#[test]
fn a_full_disk_is_reported_and_what_was_written_stays() {
    let esm = Esm::new();
    esm.file("small", orders::sorted(3, 3));
    esm.file("large", large_lines());
    let script = r#"
        "$ESM" import small || exit 90
        "$ESM" import large > import.out 2> import.err; echo $? > import.code
        "$ESM" export --name order | grep -v order/large > export.out || exit 91
        rm -r "$DISK/store/streams/"*large* || exit 92
        head -c 1M /dev/zero > "$DISK/ballast" 2> /dev/null
        "$ESM" migrate order/00000 > migrate.out 2> migrate.err; echo $? > migrate.code
        "$ESM" backup create order/00001 > backup.out 2> backup.err; echo $? > backup.code
        rm "$DISK/ballast"
        "$ESM" migrate order/00000 > again.out 2> again.err || "$ESM" resume --all || exit 93
        "$ESM" export order/00000 > read.out || exit 94
        "$ESM" verify order/00000 || exit 95
    "#;
    let Some(ran) = on_a_small_disk("a_full_disk", &esm, script) else {
        return;
    };
    ran.succeeded();
    let read = |name: &str| std::fs::read_to_string(esm.path(name)).unwrap();
    for (command, said) in [
        ("import", "what was imported stays"),
        ("migrate", "disk/store"),
        ("backup", "disk/store"),
    ] {
        assert_eq!(read(&format!("{command}.code")).trim(), "8", "{command}");
        let error = read(&format!("{command}.err"));
        assert!(
            error.contains("no space or no inodes left")
                && error.contains("hint: ")
                && error.contains(said),
            "{command}: {error}"
        );
    }
    assert!(
        read("import.err").contains("line "),
        "{}",
        read("import.err")
    );
    assert_eq!(read("export.out"), orders::sorted(3, 3));
    assert_eq!(read("read.out"), orders::sorted(1, 3));
}

#[test]
fn a_read_only_mount_is_reported_and_can_be_read() {
    let esm = Esm::new();
    esm.file("small", orders::sorted(3, 3));
    esm.file("more", orders::sorted(3, 4));
    let script = r#"
        "$ESM" import small || exit 90
        mount -o remount,ro "$DISK" || exit 97
        "$ESM" export --all > export.out || exit 91
        "$ESM" plan --all || exit 92
        "$ESM" import more
    "#;
    let Some(ran) = on_a_small_disk("a_read_only_mount", &esm, script) else {
        return;
    };
    ran.failed(8, &["read-only", "hint: "]);
    let exported = std::fs::read_to_string(esm.path("export.out")).unwrap();
    assert_eq!(exported, orders::sorted(3, 3));
}

#[test]
fn a_limit_of_file_sizes_is_an_error_of_the_write() {
    let esm = Esm::new();
    let small = esm.file("small", orders::sorted(3, 3));
    esm.file("large", large_lines());
    esm.run(&["import", &small]).succeeded();
    let limited = Command::new("sh")
        .args(["-c", "ulimit -f 16; exec \"$ESM\" import large"])
        .env("ESM", env!("CARGO_BIN_EXE_esm"))
        .env("ESM_STORE", esm.url("store"))
        .current_dir(esm.path(""))
        .output();
    Ran::new(limited.expect("a shell")).failed(8, &["ulimit -f", "what was imported stays"]);
    esm.run(&["import", &small]).succeeded();
    let exported = esm.run(&["export", "order/00000"]);
    assert_eq!(exported.succeeded().stdout, orders::sorted(1, 3));
}
