//! Which file of a crate uses what of which other one, and the circles that this makes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::tree::{Names, Tree};

/// From a module to another, with the names that it uses: always to where a name is defined, however
/// many modules re-export it on the way.
pub(super) type Arrows = BTreeMap<Arrow, BTreeSet<String>>;

/// From a module to one that it uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Arrow {
    pub(super) from: Names,
    pub(super) to: Names,
}

/// More re-exports of re-exports than this are taken for a circle of imports.
const DEPTH: usize = 16;

/// Where a path leads.
#[derive(Debug)]
enum Found {
    Module(Names),
    Item(Names, String),
}

/// All arrows of a crate.
pub(super) fn of(tree: &Tree) -> Arrows {
    let mut arrows = Arrows::new();
    for (place, module) in tree {
        let imported = module.imports.iter().map(|(_, path)| path);
        // a single name is an import's, which is an arrow already, or one that a glob imports
        let is_used = |path: &&Names| path.len() > 1 || !module.globs.is_empty();
        for path in imported.chain(module.paths.iter().filter(is_used)) {
            if let Some(Found::Item(other, name)) = find(tree, place, path, DEPTH)
                && other != *place
            {
                let (from, to) = (place.clone(), other);
                let names: &mut BTreeSet<String> = arrows.entry(Arrow { from, to }).or_default();
                names.insert(name);
            }
        }
    }
    arrows
}

fn find(tree: &Tree, place: &Names, path: &[String], depth: usize) -> Option<Found> {
    let depth = depth.checked_sub(1)?;
    let module = tree.get(place)?;
    let Some((name, rest)) = path.split_first() else {
        return Some(Found::Module(place.clone()));
    };
    match name.as_str() {
        "crate" => return find(tree, &Names::new(), rest, depth),
        "self" => return find(tree, place, rest, depth),
        "super" => {
            let (_, parent) = place.split_last()?;
            return find(tree, &parent.to_vec(), rest, depth);
        }
        _ => {}
    }
    // a function may have the name of a module
    if module.items.contains(name) && (rest.is_empty() || !module.children.contains(name)) {
        return Some(Found::Item(place.clone(), name.clone()));
    }
    if module.children.contains(name) {
        let child = [&place[..], std::slice::from_ref(name)].concat();
        return find(tree, &child, rest, depth);
    }
    let imports = module.imports.iter().filter(|(known, _)| known == name);
    // `use a;` of another crate's `a`
    let imports = imports.filter(|(_, path)| path.len() > 1 || path.first() != Some(name));
    let mut found = imports.filter_map(|(_, path)| {
        let whole = [&path[..], rest].concat();
        find(tree, place, &whole, depth)
    });
    if let Some(found) = found.next() {
        return Some(found);
    }
    module.globs.iter().find_map(|glob| {
        let Some(Found::Module(other)) = find(tree, place, glob, depth) else {
            return None;
        };
        (other != *place).then(|| find(tree, &other, path, depth))?
    })
}

/// The circles of a crate: sets of modules each of which uses, over the others, itself. That a child
/// uses what its parent defines, and the parent the child, is none.
pub(super) fn circles(arrows: &Arrows) -> Vec<BTreeSet<Names>> {
    let mut next: BTreeMap<&Names, Vec<&Names>> = BTreeMap::new();
    for Arrow { from, to } in arrows.keys() {
        let to_parent = from
            .split_last()
            .is_some_and(|(_, parent)| parent == &to[..]);
        if !to_parent {
            next.entry(from).or_default().push(to);
        }
    }
    let reached = |from: &Names| {
        let mut reached = BTreeSet::new();
        let mut waiting = next.get(from).cloned().unwrap_or_default();
        while let Some(module) = waiting.pop() {
            if reached.insert(module.clone()) {
                waiting.extend(next.get(module).into_iter().flatten());
            }
        }
        reached
    };
    let reached: BTreeMap<&Names, BTreeSet<Names>> =
        next.keys().map(|from| (*from, reached(from))).collect();
    let together = |a: &Names, b: &Names| {
        let reaches = |a, b| reached.get(a).is_some_and(|reached| reached.contains(b));
        reaches(a, b) && reaches(b, a)
    };
    let circles: BTreeSet<BTreeSet<Names>> = reached
        .keys()
        .filter(|module| together(module, module))
        .map(|module| {
            let others = reached.keys().filter(|other| together(module, other));
            others.map(|other| (*other).clone()).collect()
        })
        .collect();
    circles.into_iter().collect()
}

/// The arrows between the modules of a circle.
pub(super) fn inside<'a>(
    arrows: &'a Arrows,
    circle: &'a BTreeSet<Names>,
) -> impl Iterator<Item = (&'a Arrow, &'a BTreeSet<String>)> {
    let within = |arrow: &Arrow| circle.contains(&arrow.from) && circle.contains(&arrow.to);
    arrows.iter().filter(move |(arrow, _)| within(arrow))
}

/// An arrow as it is printed: `a/b.rs -> c.rs: Name, other`, paths relative to the root module's.
pub(super) fn shown(tree: &Tree, arrow: &Arrow, names: &BTreeSet<String>) -> String {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let file = |place: &Names| file(tree, place).display().to_string();
    let (from, to) = (file(&arrow.from), file(&arrow.to));
    format!("{from} -> {to}: {}", names.join(", "))
}

fn file(tree: &Tree, place: &Names) -> PathBuf {
    let root = tree.get(&Names::new()).and_then(|root| root.file.parent());
    let file = tree.get(place).map(|module| module.file.as_path());
    let file = file.unwrap_or_else(|| std::path::Path::new("?"));
    let relative = root.and_then(|root| file.strip_prefix(root).ok());
    relative.unwrap_or(file).to_owned()
}
