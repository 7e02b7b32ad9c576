//! `cargo xtask browser`: the console in a real browser, and the pictures of its documentation.

use std::path::PathBuf;

use anyhow::Result;

use crate::test::NotTested;
use crate::{command, project};

/// Options of `cargo xtask browser`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Where the pictures of the documentation go: `docs/console` to renew them
    #[arg(
        long,
        value_name = "DIRECTORY",
        default_value = "target/browser/pictures"
    )]
    pictures: PathBuf,
    /// Also take pictures of every page, in both colours and widths
    #[arg(long)]
    album: bool,
}

/// Builds `esm` and the tests, and runs them. Where there is no browser, they say so.
pub(crate) fn run(options: &Options) -> Result<()> {
    install_driver();
    command::build(&["--bin=esm"])?;
    build()?;
    let not_tested = NotTested::fresh()?;
    let tested = test(options, &not_tested);
    not_tested.print()?;
    tested
}

fn test(options: &Options, not_tested: &NotTested) -> Result<()> {
    let target = project::target();
    let mut tests = command::new(target.join("debug/esm-browser"));
    tests
        .env(NotTested::VARIABLE, not_tested.directory())
        .arg("--binary")
        .arg(target.join("debug/esm"))
        .arg("--examples")
        .arg(project::root().join("examples"))
        .arg("--packages")
        .arg(target.join("esm-servers"))
        .arg("--pictures")
        .arg(project::root().join(&options.pictures));
    if options.album {
        tests.arg("--album").arg(target.join("browser/album"));
    }
    command::run(&mut tests)
}

/// Packages of Debian with a browser and its driver.
const PACKAGES: [&str; 2] = ["chromium", "chromium-driver"];

/// Installs a browser in continuous integration, where the machine has none. A machine that is
/// somebody's is left as it is.
fn install_driver() {
    let has_driver = command::answers("chromedriver", &["--version"]);
    if has_driver || !project::in_ci() || !command::answers("apt-get", &["--version"]) {
        return;
    }
    let apt = |arguments: &[&str]| {
        let mut apt = command::new("apt-get");
        apt.args(["--quiet", "--quiet"]).args(arguments);
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        command::run(&mut apt)
    };
    let install = ["install", "--yes", "--no-install-recommends"];
    let installed = apt(&["update"]).and_then(|()| apt(&[&install[..], &PACKAGES].concat()));
    if let Err(why) = installed {
        // the tests then say that there is none
        println!("no browser was installed: {why:#}");
    }
}

/// Builds the tests, which are no member of the workspace; see its manifest. Without debug
/// information, as others are built.
fn build() -> Result<()> {
    let manifest = project::root().join("browser/Cargo.toml");
    command::run(
        command::cargo()
            .args(["build", "--locked", "--quiet", "--manifest-path"])
            .arg(manifest)
            .arg("--target-dir")
            .arg(project::target())
            .env("CARGO_PROFILE_DEV_DEBUG", "0"),
    )
}
