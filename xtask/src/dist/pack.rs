//! The folder that is packed, its archive and the checksums.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::{command, project};

/// Where packages are written: `dist` is the folder of cargo's profile.
const FOLDER: &str = "packed";

/// The shells with the names that their completions have.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "esm.bash"), ("zsh", "_esm"), ("fish", "esm.fish")];

/// A package that is being laid out.
#[derive(Debug)]
pub(super) struct Package {
    name: String,
    /// The folder of all packages.
    all: PathBuf,
}

impl Package {
    /// Begins a package for a target; an earlier one is replaced.
    ///
    /// # Errors
    /// When files cannot be written.
    pub(super) fn begin(triple: &str) -> Result<Self> {
        let package = Self {
            name: format!("esm-{}-{triple}", env!("CARGO_PKG_VERSION")),
            all: project::target().join(FOLDER),
        };
        let folder = package.folder();
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        for file in ["LICENSE-APACHE", "LICENSE-MIT", "CHANGELOG.md"] {
            package.write(file, &project::read(Path::new(file))?)?;
        }
        let readme = project::read(Path::new("crates/esm-cli/README.md"))?;
        package.write("README.md", &readme)?;
        Ok(package)
    }

    /// The folder with all that is packed.
    pub(super) fn folder(&self) -> PathBuf {
        self.all.join(&self.name)
    }

    /// A folder beside the package, for the image.
    pub(super) fn image(&self) -> PathBuf {
        self.all.join("image")
    }

    /// The packed program.
    pub(super) fn esm(&self) -> PathBuf {
        self.folder().join("esm")
    }

    pub(super) fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.folder().join(file);
        fs::write(&path, text).with_context(|| path.display().to_string())
    }

    /// Adds the program, and what it prints of itself: manual pages and completions.
    ///
    /// # Errors
    /// When the program does not run.
    pub(super) fn program(&self, binary: &Path) -> Result<()> {
        fs::copy(binary, self.esm()).with_context(|| binary.display().to_string())?;
        let pages = self.folder().join("man/man1");
        fs::create_dir_all(&pages)?;
        command::run_quietly(command::new(self.esm()).arg("man").arg(&pages))?;
        fs::create_dir_all(self.folder().join("completions"))?;
        for (shell, file) in COMPLETIONS {
            let script = command::output(command::new(self.esm()).args(["completions", shell]))?;
            self.write(&format!("completions/{file}"), &script)?;
        }
        Ok(())
    }

    /// Writes the archive and the checksums.
    ///
    /// # Errors
    /// When `tar`, `gzip` or `sha256sum` fails.
    pub(super) fn archive(&self) -> Result<()> {
        let archive = format!("{}.tar.gz", self.name);
        let bom = format!("{}.cdx.json", self.name);
        fs::copy(self.folder().join("esm.cdx.json"), self.all.join(&bom))?;
        // the same content gives the same archive
        let mut tar = command::new("tar");
        tar.current_dir(&self.all).args([
            "--create",
            "--use-compress-program=gzip --no-name",
            "--sort=name",
            "--mtime=@0",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
        ]);
        command::run(tar.args(["--file", &archive, &self.name]))?;
        let mut sums = command::new("sha256sum");
        let sums = command::output(sums.current_dir(&self.all).args([&archive, &bom]))?;
        fs::write(self.all.join("SHA256SUMS"), &sums)?;
        println!("dist: {}\n{}", self.all.display(), sums.trim_end());
        Ok(())
    }
}
