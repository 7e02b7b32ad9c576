//! `cargo xtask dist`: what is published of the program `esm`.
//!
//! - `target` chooses how the binary is linked, and builds it;
//! - `linked` lists the crates that are linked into it;
//! - `licences` and `bom` write their licences and the bill of materials;
//! - `pack` lays out the folder, the archive and the checksums;
//! - `checks` examines the result; `container` builds and runs an image of it.

mod bom;
mod checks;
mod container;
mod licences;
mod linked;
mod pack;
mod target;

use anyhow::Result;

use linked::LinkedCrates;
use pack::Package;
use target::Target;

/// Options of `cargo xtask dist`.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// Does not build and run an image, even if Docker is there
    #[arg(long)]
    no_container: bool,
}

/// Builds the binary, packs it with all that belongs to it, and examines the result.
pub(crate) fn run(options: &Options) -> Result<()> {
    let target = Target::choose()?;
    println!("dist: {target}");
    let binary = target.build()?;
    checks::binary(&binary)?;
    let crates = LinkedCrates::of("esm-cli", target.triple())?;
    let package = Package::begin(target.triple())?;
    package.program(&binary)?;
    package.write("THIRD-PARTY-LICENCES.txt", &licences::text(&crates)?)?;
    package.write("esm.cdx.json", &bom::text(&crates)?)?;
    checks::package(&package)?;
    if options.no_container {
        println!("dist: no image was built: --no-container");
    } else {
        container::run(&package)?;
    }
    package.archive()
}
