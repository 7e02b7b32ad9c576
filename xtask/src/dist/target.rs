//! How the binary is linked.

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::{command, project};

/// The profile of `Cargo.toml` for what is published.
const PROFILE: &str = "dist";

/// A target whose binary is static.
#[derive(Debug)]
pub(super) struct Target {
    triple: String,
    /// Whether its libc is musl; otherwise glibc, which is linked statically too.
    is_musl: bool,
}

impl Target {
    /// Chooses musl, where the target and its linker are installed, and glibc elsewhere.
    ///
    /// # Errors
    /// When the host is not known.
    pub(super) fn choose() -> Result<Self> {
        let version = command::output(command::new("rustc").arg("-vV"))?;
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.context("rustc -vV names no host")?;
        let musl = host.replace("-gnu", "-musl");
        let libraries = command::output(command::new("rustc").args([
            "--print=target-libdir",
            "--target",
            &musl,
        ]))?;
        let is_musl = std::path::Path::new(libraries.trim()).exists()
            && command::answers("musl-gcc", &["--version"]);
        Ok(Self {
            triple: if is_musl { musl } else { host.to_owned() },
            is_musl,
        })
    }

    pub(super) fn triple(&self) -> &str {
        &self.triple
    }

    /// Builds the program; returns where it is.
    ///
    /// # Errors
    /// When it does not build.
    pub(super) fn build(&self) -> Result<PathBuf> {
        let mut build = command::cargo();
        build.args(["build", "--locked", "--package=esm-cli"]);
        build.args(["--profile", PROFILE, "--target", &self.triple]);
        if !self.is_musl {
            build.env("RUSTFLAGS", "-C target-feature=+crt-static");
        }
        command::run(&mut build)?;
        let folder = project::target().join(&self.triple).join(PROFILE);
        Ok(folder.join("esm"))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_musl {
            write!(f, "{}, static with musl", self.triple)
        } else {
            write!(
                f,
                "{}, static with glibc: names of hosts are resolved by the libraries of a glibc of the \
                 same version, where there is one; for a binary without that, install the target \
                 {} and musl-gcc",
                self.triple,
                self.triple.replace("-gnu", "-musl")
            )
        }
    }
}
