//! An image that holds the binary alone.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Result, ensure};

use super::pack::Package;
use crate::command;

const IMAGE: &str = "esm:dist";

/// Builds the image of the `Dockerfile`, and migrates an object in a container of it.
///
/// # Errors
/// When the image does not build, or the container does not run.
pub(super) fn run(package: &Package) -> Result<()> {
    if !command::answers("docker", &["info"]) {
        println!("dist: no image was built: docker does not respond");
        return Ok(());
    }
    let context = package.image();
    if context.exists() {
        fs::remove_dir_all(&context)?;
    }
    let root = context.join("root");
    fs::create_dir_all(root.join("tmp"))?;
    fs::copy(package.esm(), root.join("esm"))?;
    // Docker keeps the mode: temporary files are written there, by any user
    fs::set_permissions(root.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    let mut build = command::new("docker");
    build.args(["build", "--quiet", "--tag", IMAGE, "--file", "Dockerfile"]);
    command::run(build.arg(&context))?;
    let run = |arguments: &[&str]| {
        let mut docker = command::new("docker");
        command::output(
            docker
                .args(["run", "--rm", "--network=none", IMAGE])
                .args(arguments),
        )
    };
    let version = run(&["--version"])?;
    let expected = format!("esm {}", env!("CARGO_PKG_VERSION"));
    ensure!(
        version.trim() == expected,
        "the container has another version: {version}"
    );
    let created = run(&["store", "init", "--store", "/tmp/store"])?;
    ensure!(
        created.contains("/tmp/store"),
        "the container created no store: {created}"
    );
    println!("dist: the image {IMAGE} runs");
    Ok(())
}
