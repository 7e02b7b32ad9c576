//! The bill of materials, as [CycloneDX](https://cyclonedx.org) 1.5.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::linked::{LinkedCrate, LinkedCrates};

/// The bill of materials of the binary. It is the same for the same crates.
///
/// # Errors
/// None in practice: all of it is text.
pub(super) fn text(linked: &LinkedCrates) -> Result<String> {
    let root = &linked.crates[&linked.root];
    let components = linked.crates.iter().filter(|(key, _)| **key != linked.root);
    let components: Vec<_> = components
        .map(|(_, one)| component(one, "library"))
        .collect();
    let dependencies = linked.crates.iter().map(|(key, one)| {
        let uses: Vec<_> = one.uses.iter().map(|key| reference(key)).collect();
        json!({"ref": reference(key), "dependsOn": uses})
    });
    let bom = json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(root, "application")},
        "components": components,
        "dependencies": dependencies.collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&bom).context("the bill of materials")?;
    Ok(text + "\n")
}

fn component(one: &LinkedCrate, kind: &str) -> Value {
    let key = format!("{}@{}", one.name, one.version);
    let mut component = json!({
        "type": kind,
        "bom-ref": reference(&key),
        "name": one.name,
        "version": one.version,
        "purl": reference(&key),
        "licenses": [{"expression": expression(&one.licence)}],
    });
    if let Some(repository) = &one.repository {
        component["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
    }
    component
}

fn reference(key: &str) -> String {
    format!("pkg:cargo/{key}")
}

/// An SPDX expression: old crates write `MIT/Apache-2.0`.
fn expression(licence: &str) -> String {
    licence.replace('/', " OR ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn linked(name: &str, uses: &[&str]) -> (String, LinkedCrate) {
        let one = LinkedCrate {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: "MIT/Apache-2.0".to_owned(),
            authors: Vec::new(),
            repository: None,
            folder: "/".into(),
            is_own: false,
            uses: uses.iter().map(|key| (*key).to_owned()).collect(),
        };
        (format!("{name}@1.0.0"), one)
    }

    #[test]
    fn every_crate_is_a_component_and_what_it_uses_is_referred_to() -> Result<()> {
        let crates = BTreeMap::from([linked("a", &[]), linked("esm-cli", &["a@1.0.0"])]);
        let root = "esm-cli@1.0.0".to_owned();
        let bom: Value = serde_json::from_str(&text(&LinkedCrates { root, crates })?)?;
        assert_eq!(bom["metadata"]["component"]["name"], "esm-cli");
        assert_eq!(bom["components"][0]["purl"], "pkg:cargo/a@1.0.0");
        let licence = &bom["components"][0]["licenses"][0]["expression"];
        assert_eq!(licence, "MIT OR Apache-2.0");
        assert_eq!(bom["dependencies"][1]["dependsOn"][0], "pkg:cargo/a@1.0.0");
        Ok(())
    }
}
