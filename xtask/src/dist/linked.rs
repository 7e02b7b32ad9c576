//! The crates that are linked into the binary.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::command;

/// A crate that is linked into the binary.
#[derive(Debug)]
pub(super) struct LinkedCrate {
    pub(super) name: String,
    pub(super) version: String,
    /// An SPDX expression.
    pub(super) licence: String,
    pub(super) authors: Vec<String>,
    pub(super) repository: Option<String>,
    pub(super) folder: PathBuf,
    /// Whether it is a crate of this project.
    pub(super) is_own: bool,
    /// Keys of the crates that it uses.
    pub(super) uses: BTreeSet<String>,
}

/// The crates that are linked into the binary, by a key that is the same in every run.
#[derive(Debug)]
pub(super) struct LinkedCrates {
    pub(super) root: String,
    pub(super) crates: BTreeMap<String, LinkedCrate>,
}

impl LinkedCrates {
    /// The crates that a package of the workspace links for a target: not those that only build
    /// scripts, macros and tests use.
    ///
    /// # Errors
    /// When `cargo metadata` fails or is not understood.
    pub(super) fn of(package: &str, target: &str) -> Result<Self> {
        let metadata = command::output(command::cargo().args([
            "metadata",
            "--locked",
            "--format-version=1",
            "--filter-platform",
            target,
        ]))?;
        let metadata = serde_json::from_str(&metadata).context("cargo metadata")?;
        Self::read(package, &metadata)
    }

    fn read(package: &str, metadata: &Value) -> Result<Self> {
        let packages = list(&metadata["packages"]);
        let packages: BTreeMap<_, _> = packages.iter().map(|p| (text(&p["id"]), p)).collect();
        let nodes = list(&metadata["resolve"]["nodes"]);
        let nodes: BTreeMap<_, _> = nodes.iter().map(|n| (text(&n["id"]), n)).collect();
        let root = packages.iter().find(|(_, p)| text(&p["name"]) == package);
        let (root, _) = root.with_context(|| format!("no package {package}"))?;
        let mut crates = BTreeMap::new();
        let mut open = vec![*root];
        while let Some(id) = open.pop() {
            let described = packages.get(id).context("a package is not described")?;
            let uses: Vec<_> = match nodes.get(id) {
                Some(node) => linked(node).filter(|id| !is_macro(packages[id])).collect(),
                None => Vec::new(),
            };
            let found = LinkedCrate {
                uses: uses.iter().map(|id| key(packages[id])).collect(),
                ..described_by(described)
            };
            if crates.insert(key(described), found).is_none() {
                open.extend(uses);
            }
        }
        Ok(Self {
            root: key(packages[root]),
            crates,
        })
    }

    /// Those that are not of this project.
    pub(super) fn third_party(&self) -> impl Iterator<Item = &LinkedCrate> {
        self.crates.values().filter(|linked| !linked.is_own)
    }
}

/// The ids of the packages that a node links.
fn linked(node: &Value) -> impl Iterator<Item = &str> {
    let uses = list(&node["deps"]).iter();
    uses.filter(|used| list(&used["dep_kinds"]).iter().any(|d| d["kind"].is_null()))
        .map(|used| text(&used["pkg"]))
}

fn is_macro(package: &Value) -> bool {
    let mut targets = list(&package["targets"]).iter();
    targets.any(|target| list(&target["kind"]).iter().any(|k| k == "proc-macro"))
}

fn described_by(package: &Value) -> LinkedCrate {
    let manifest = PathBuf::from(text(&package["manifest_path"]));
    let authors = list(&package["authors"]).iter();
    LinkedCrate {
        name: text(&package["name"]).to_owned(),
        version: text(&package["version"]).to_owned(),
        licence: text(&package["license"]).to_owned(),
        authors: authors.map(|author| text(author).to_owned()).collect(),
        repository: package["repository"].as_str().map(str::to_owned),
        folder: manifest.parent().map(PathBuf::from).unwrap_or_default(),
        is_own: package["source"].is_null(),
        uses: BTreeSet::new(),
    }
}

fn key(package: &Value) -> String {
    format!("{}@{}", text(&package["name"]), text(&package["version"]))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(name: &str, kind: &str) -> Value {
        json!({"id": name, "name": name, "version": "1.0.0", "license": "MIT", "authors": [],
            "manifest_path": format!("/{name}/Cargo.toml"), "targets": [{"kind": [kind]}],
            "source": (name != "own").then_some("registry")})
    }

    #[test]
    fn what_only_builds_or_expands_is_not_linked() -> Result<()> {
        let uses =
            |name: &str, kind: Option<&str>| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [package("own", "bin"), package("a", "lib"), package("b", "lib"),
                package("builds", "lib"), package("derives", "proc-macro")],
            "resolve": {"nodes": [
                {"id": "own", "deps": [uses("a", None), uses("derives", None)]},
                {"id": "a", "deps": [uses("b", None), uses("builds", Some("build"))]},
                {"id": "b", "deps": [uses("a", Some("dev"))]},
            ]},
        });
        let linked = LinkedCrates::read("own", &metadata)?;
        assert_eq!(linked.root, "own@1.0.0");
        let keys: Vec<_> = linked.crates.keys().map(String::as_str).collect();
        assert_eq!(keys, ["a@1.0.0", "b@1.0.0", "own@1.0.0"]);
        let names: Vec<_> = linked.third_party().map(|c| c.name.as_str()).collect();
        assert_eq!(names, ["a", "b"]);
        assert!(linked.crates["a@1.0.0"].uses.contains("b@1.0.0"));
        Ok(())
    }
}
