//! Which module of a crate may use which, and that the files of a crate form no circle.

use std::path::Path;

use anyhow::Result;

use super::arrows::{self, Arrow, Arrows};
use super::tree::{self, Names, Tree};

/// The modules at the top of a crate, lowest first. A module uses those of lower layers; of its own
/// layer only itself.
type Layers = &'static [&'static [&'static str]];

/// The layers of the crates that have some.
const LAYERS: &[(&str, Layers)] = &[(
    "esm-core",
    &[
        &["error"],
        &["id"],
        &["event"],
        &["clock"],
        &["backoff", "progress"],
        &["store"],
        &["object"],
        // journal records hold ledgers
        &["transform"],
        &["protocol"],
        &["cutover", "recovery"],
        // a backup is read through the router's reader
        &["router"],
        &["backup"],
        &["migration"],
        &["doctor"],
        &["repair"],
    ],
)];

/// Arrows that are left out, from a module of a crate to another.
///
/// An error carries what its caller needs to continue: the Close that it met, or the holder of a
/// lock. Both are made of ids, which are validated, and an invalid one is an error.
const LEFT_OUT: &[(&str, &str, &str)] = &[
    ("esm-core", "error", "store::cell"),
    ("esm-core", "error", "store::lock::provider"),
];

/// What is wrong with the modules of a crate.
#[derive(Debug, Default)]
pub(super) struct Violations {
    /// Arrows to a module that is not below.
    pub(super) upward: Vec<String>,
    /// The arrows of each circle.
    pub(super) circles: Vec<Circle>,
}

/// Files that use each other.
#[derive(Debug)]
pub(super) struct Circle {
    pub(super) files: usize,
    pub(super) arrows: Vec<String>,
}

/// Looks for violations in the crate with this name and root file.
pub(super) fn violations(name: &str, root: &Path) -> Result<Violations> {
    let tree = tree::read(root)?;
    let mut arrows = arrows::of(&tree);
    arrows.retain(|Arrow { from, to }, _| {
        let arrow = (name, from.join("::"), to.join("::"));
        !(LEFT_OUT.iter())
            .any(|(of, from, to)| arrow == (*of, (*from).to_owned(), (*to).to_owned()))
    });
    let layers = LAYERS.iter().find(|(known, _)| *known == name);
    let upward = layers.map_or_else(Vec::new, |(_, layers)| upward(&tree, &arrows, layers));
    let circles = arrows::circles(&arrows)
        .iter()
        .map(|circle| {
            let inside = arrows::inside(&arrows, circle);
            Circle {
                files: circle.len(),
                arrows: inside
                    .map(|(arrow, names)| arrows::shown(&tree, arrow, names))
                    .collect(),
            }
        })
        .collect();
    Ok(Violations { upward, circles })
}

fn upward(tree: &Tree, arrows: &Arrows, layers: &[&[&str]]) -> Vec<String> {
    let layer = |place: &Names| {
        let top = place.first()?;
        layers
            .iter()
            .position(|layer| layer.contains(&top.as_str()))
    };
    let unknown = tree
        .keys()
        .filter(|place| place.len() == 1 && layer(place).is_none())
        .map(|place| format!("module {} has no layer", place.join("::")));
    let wrong = arrows.iter().filter(|(Arrow { from, to }, _)| {
        // the root module only re-exports
        from.first() != to.first()
            && matches!((layer(from), layer(to)), (Some(from), Some(to)) if to >= from)
    });
    unknown
        .chain(wrong.map(|(arrow, names)| arrows::shown(tree, arrow, names)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::*;

    /// The violations of a crate with these files, and these layers.
    fn found(files: &[(&str, &str)], layers: &[&[&str]]) -> (Vec<String>, Vec<Vec<String>>) {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
            fs::write(file, text).expect("a file");
        }
        let tree = tree::read(&folder.path().join("lib.rs")).expect("a crate");
        let arrows = arrows::of(&tree);
        let circles = arrows::circles(&arrows)
            .iter()
            .map(|circle| {
                let inside = arrows::inside(&arrows, circle);
                inside
                    .map(|(arrow, names)| arrows::shown(&tree, arrow, names))
                    .collect()
            })
            .collect();
        (upward(&tree, &arrows, layers), circles)
    }

    const LIB: (&str, &str) = ("lib.rs", "mod low;\nmod high;\npub use high::High;\n");
    const LOW_HIGH: &[&[&str]] = &[&["low"], &["high"]];

    #[test]
    fn arrows_that_point_upwards_are_found_however_they_are_written() {
        let high = ("high/mod.rs", "mod a;\npub use a::{High, f as g};\n");
        let a = ("high/a.rs", "pub struct High;\npub fn f() {}\n");
        let expected = BTreeMap::from([
            ("use crate::high::High;", "High"),
            ("use crate::High as Other;", "High"),
            ("use crate::{high::{g}};", "f"),
            ("use super::high; fn x() { high::g() }", "f"),
            ("fn x() -> crate::high::High { todo!() }", "High"),
            ("fn x() { crate::high::High::new() }", "High"),
            ("fn x() { assert!(y, \"{}\", crate::high::g(1)) }", "f"),
            ("macro_rules! m { () => { $crate::high::g() } }", "f"),
            ("use crate::high::*; fn x() { g() }", "f"),
            ("fn x() { use crate::high::g; }", "f"),
        ]);
        for (code, name) in expected {
            let (upward, _) = found(&[LIB, high, a, ("low.rs", code)], LOW_HIGH);
            assert_eq!(upward, [format!("low.rs -> high/a.rs: {name}")], "{code}");
        }
    }

    #[test]
    fn arrows_downwards_to_other_crates_and_of_tests_are_right() {
        let high = ("high.rs", "use crate::low::Low; pub struct High(Low);\n");
        for code in [
            "pub struct Low;",
            "pub struct Low; use other::high::High; use high; fn x() { high::High }",
            "pub struct Low; #[cfg(test)] mod tests { use crate::high::High; }",
            "pub struct Low; #[cfg(test)] use crate::high::High;",
            "pub struct Low; #[cfg(all(test, unix))] mod tests { use crate::high::High; }",
            "pub struct Low; impl Low { #[cfg(test)] fn x() { crate::high::High } }",
            "/// [High](crate::high::High)\npub struct Low; // crate::high::High\n",
        ] {
            let none = (Vec::new(), Vec::new());
            assert_eq!(
                found(&[LIB, high, ("low.rs", code)], LOW_HIGH),
                none,
                "{code}"
            );
        }
    }

    #[test]
    fn modules_of_one_layer_and_without_a_layer_are_found() {
        let files = [
            LIB,
            ("high.rs", "pub struct High;"),
            ("low.rs", "use crate::High;"),
        ];
        let (upward, _) = found(&files, &[&["low", "high"]]);
        assert_eq!(upward, ["low.rs -> high.rs: High"]);
        let (upward, _) = found(&files, &[&["low"]]);
        assert_eq!(upward, ["module high has no layer"]);
    }

    #[test]
    fn a_circle_is_found_through_re_exports_and_none_between_parent_and_child() {
        let files = [
            LIB,
            ("low.rs", ""),
            (
                "high/mod.rs",
                "mod a; mod b; mod c; pub use a::A; pub use b::B; pub struct High;",
            ),
            (
                "high/a.rs",
                "use super::B; pub struct A; fn x() -> super::High {}",
            ),
            ("high/b.rs", "use super::c::C; pub struct B;"),
            (
                "high/c.rs",
                "use crate::high; pub struct C; fn x() -> high::A {}",
            ),
        ];
        let (_, circles) = found(&files, LOW_HIGH);
        let expected = [
            "high/a.rs -> high/b.rs: B",
            "high/b.rs -> high/c.rs: C",
            "high/c.rs -> high/a.rs: A",
        ];
        assert_eq!(circles, [expected]);
        let files = [
            files[0],
            files[1],
            files[2],
            files[3],
            ("high/b.rs", "pub struct B;"),
            files[5],
        ];
        assert_eq!(found(&files, LOW_HIGH).1, [[""; 0]; 0]);
    }
}
