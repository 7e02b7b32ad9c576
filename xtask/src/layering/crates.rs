//! Which crate may depend on which (docs/architecture.md), and what esm-core must never know.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::Value;

use crate::command;

/// Each crate of the project with the crates of the project that it may depend on.
const MAY_DEPEND: &[(&str, &[&str])] = &[
    ("esm-core", &[]),
    ("esm-format", &["esm-core"]),
    ("esm-jq", &["esm-core", "esm-format"]),
    ("esm-view", &["esm-core", "esm-jq"]),
    (
        "esm-console",
        &["esm-core", "esm-format", "esm-jq", "esm-view"],
    ),
    ("esm-cells", &["esm-core", "esm-format"]),
    ("esm-azure", &["esm-cells", "esm-core", "esm-format"]),
    ("esm-objectstore", &["esm-cells", "esm-core", "esm-format"]),
    ("esm-sqlite", &["esm-cells", "esm-core"]),
    ("esm-foreign", &["esm-core"]),
    ("esm-layout", &["esm-core"]),
    (
        "esm-postgres",
        &["esm-cells", "esm-core", "esm-foreign", "esm-layout"],
    ),
    ("esm-testkit", &["esm-core", "esm-foreign"]),
    ("esm-model", &["esm-core"]),
    (
        "esm-cli",
        &[
            "esm-azure",
            "esm-console",
            "esm-core",
            "esm-format",
            "esm-jq",
            "esm-layout",
            "esm-objectstore",
            "esm-postgres",
            "esm-sqlite",
            "esm-view",
        ],
    ),
    (
        "esm-azure-example",
        &["esm-azure", "esm-core", "esm-objectstore", "esm-testkit"],
    ),
    (
        "esm-library-examples",
        &[
            "esm-cells",
            "esm-core",
            "esm-format",
            "esm-jq",
            "esm-objectstore",
            "esm-testkit",
        ],
    ),
    (
        "esm-bench",
        &[
            "esm-core",
            "esm-format",
            "esm-jq",
            "esm-objectstore",
            "esm-sqlite",
            "esm-testkit",
        ],
    ),
    (
        "esm-live",
        &[
            "esm-azure",
            "esm-bench",
            "esm-core",
            "esm-jq",
            "esm-objectstore",
            "esm-testkit",
        ],
    ),
    // knows the binary and the documents, nothing of the insides
    ("esm-attack", &[]),
    ("xtask", &[]),
];

/// Crates that speak to a network, or to a store: none may stand below esm-core.
const NOT_BELOW_CORE: &[&str] = &[
    "axum",
    "azure_core",
    "curl",
    "h2",
    "h3",
    "http",
    "hyper",
    "hyper-util",
    "isahc",
    "libsqlite3-sys",
    "mio",
    "native-tls",
    "object_store",
    "openssl",
    "openssl-sys",
    "quinn",
    "reqwest",
    "ring",
    "rusqlite",
    "rustls",
    "socket2",
    "tonic",
    "ureq",
];

/// What is wrong with the dependencies of the crates.
pub(super) fn check(metadata: &Value) -> Result<Vec<String>> {
    let mut wrong = disallowed_edges(metadata);
    let tree = command::output(command::cargo().args([
        "tree",
        "--package=esm-core",
        "--edges=normal",
        "--prefix=none",
        "--format={p}",
    ]))?;
    wrong.extend(network_crates(&tree).into_iter().map(|name| {
        format!("esm-core depends on {name}: it knows no network, no TLS and no store")
    }));
    Ok(wrong)
}

fn network_crates(tree: &str) -> BTreeSet<&str> {
    tree.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| NOT_BELOW_CORE.contains(name))
        .collect()
}

fn disallowed_edges(metadata: &Value) -> Vec<String> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let mut wrong = Vec::new();
    for package in list(metadata, "packages") {
        let name = text(&package, "name");
        let Some((_, allowed)) = MAY_DEPEND.iter().find(|(known, _)| *known == name) else {
            wrong.push(format!(
                "{name} has no layer: add it to xtask/src/layering/crates.rs"
            ));
            continue;
        };
        for dependency in list(&package, "dependencies") {
            let other = text(&dependency, "name");
            if !other.starts_with("esm-") {
                continue;
            }
            let is_dev = dependency["kind"] == "dev";
            if !is_dev && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{name} must not depend on {other}"));
            }
            if is_dev && text(&dependency, "req") != "*" && !allowed.contains(&other.as_str()) {
                wrong.push(format!(
                    "{name} has the dev-dependency {other} with a version: give it a path alone, \
                     or the two cannot be published"
                ));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn depends(name: &str, on: &str, kind: Value, req: &str) -> Value {
        json!({"packages": [{"name": name, "dependencies": [
            {"name": on, "kind": kind, "req": req}, {"name": "serde", "kind": null, "req": "^1"},
        ]}]})
    }

    #[test]
    fn an_edge_against_the_layers_is_found() {
        let wrong = disallowed_edges(&depends("esm-core", "esm-format", Value::Null, "^0.1"));
        assert_eq!(wrong, ["esm-core must not depend on esm-format"]);
        let fine = depends("esm-format", "esm-core", Value::Null, "^0.1");
        assert_eq!(disallowed_edges(&fine), [""; 0]);
    }

    #[test]
    fn a_dev_dependency_is_free_but_for_its_version() {
        let fine = depends("esm-core", "esm-testkit", json!("dev"), "*");
        assert_eq!(disallowed_edges(&fine), [""; 0]);
        let versioned = depends("esm-core", "esm-testkit", json!("dev"), "^0.1");
        assert_eq!(disallowed_edges(&versioned).len(), 1);
    }

    #[test]
    fn a_crate_without_a_layer_is_found() {
        let unknown = depends("esm-new", "esm-core", Value::Null, "^0.1");
        assert_eq!(disallowed_edges(&unknown).len(), 1);
    }

    #[test]
    fn a_network_crate_in_the_tree_is_found() {
        let tree = "esm-core v0.1.0 (/x)\nbytes v1.12.0\nhyper v1.0.0\nhyper v1.0.0 (*)\n";
        assert_eq!(network_crates(tree), BTreeSet::from(["hyper"]));
    }
}
