//! The modules of a crate: what each defines, what it imports, and which paths its code uses. What
//! is there for tests only is left out. A module is a file: there are no others in this project.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use proc_macro2::{TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, Meta, Token, UseTree};

/// A path as it is written, or the place of a module below its crate's root.
pub(super) type Names = Vec<String>;

/// All modules of a crate, by their places; the root's is empty.
pub(super) type Tree = BTreeMap<Names, Module>;

/// A module.
#[derive(Debug, Default)]
pub(super) struct Module {
    pub(super) file: PathBuf,
    pub(super) children: BTreeSet<String>,
    /// The names of its other items.
    pub(super) items: BTreeSet<String>,
    /// What it imports or re-exports: a name, and the path that the name is for.
    pub(super) imports: Vec<(String, Names)>,
    /// The modules that it imports all names of.
    pub(super) globs: Vec<Names>,
    /// Every other path of its code.
    pub(super) paths: BTreeSet<Names>,
}

/// Reads the modules of the crate that has this root file.
pub(super) fn read(root: &Path) -> Result<Tree> {
    let mut tree = Tree::new();
    let folder = root.parent().unwrap_or(Path::new(""));
    read_file(root, folder, Names::new(), &mut tree)?;
    Ok(tree)
}

/// Reads a module and its children, whose files are in `folder`.
fn read_file(file: &Path, folder: &Path, place: Names, tree: &mut Tree) -> Result<()> {
    let text =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let parsed =
        syn::parse_file(&text).with_context(|| format!("cannot parse {}", file.display()))?;
    let mut reader = Reader::default();
    reader.visit_file(&parsed);
    if let Some(name) = reader.inline {
        bail!("{}: module {name} has no file of its own", file.display());
    }
    for name in &reader.module.children {
        let below = folder.join(name);
        let own = below.with_extension("rs");
        let child = if own.is_file() {
            own
        } else {
            below.join("mod.rs")
        };
        let place = [&place[..], std::slice::from_ref(name)].concat();
        read_file(&child, &below, place, tree)?;
    }
    let file = file.to_owned();
    tree.insert(
        place,
        Module {
            file,
            ..reader.module
        },
    );
    Ok(())
}

/// Collects what is in a file.
#[derive(Default)]
struct Reader {
    module: Module,
    /// A module that was written inside of the file.
    inline: Option<String>,
}

impl Reader {
    fn import(&mut self, tree: &UseTree, mut before: Names) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.import(&path.tree, before);
            }
            UseTree::Name(name) if name.ident == "self" => {
                if let Some(last) = before.last() {
                    self.module.imports.push((last.clone(), before));
                }
            }
            UseTree::Name(name) => {
                let name = name.ident.to_string();
                before.push(name.clone());
                self.module.imports.push((name, before));
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    before.push(rename.ident.to_string());
                }
                self.module
                    .imports
                    .push((rename.rename.to_string(), before));
            }
            UseTree::Glob(_) => self.module.globs.push(before),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, before.clone());
                }
            }
        }
    }

    /// Paths in the arguments of a macro, which are not parsed.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path = Names::new();
        let mut colons = 0;
        for token in tokens {
            match &token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.path(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                }
                TokenTree::Group(group) => {
                    self.path(std::mem::take(&mut path));
                    self.scan(group.stream());
                }
                _ => self.path(std::mem::take(&mut path)),
            }
            colons = 0;
        }
        self.path(path);
    }

    fn path(&mut self, path: Names) {
        if !path.is_empty() {
            self.module.paths.insert(path);
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name) = match item {
            Item::Const(item) => (&item.attrs, Some(&item.ident)),
            Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
            Item::Impl(item) => (&item.attrs, None),
            Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
            Item::Mod(item) => (&item.attrs, None),
            Item::Static(item) => (&item.attrs, Some(&item.ident)),
            Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            Item::Type(item) => (&item.attrs, Some(&item.ident)),
            Item::Use(item) => (&item.attrs, None),
            _ => return visit::visit_item(self, item),
        };
        if is_for_tests(attributes) {
            return;
        }
        self.module.items.extend(name.map(ToString::to_string));
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let name = item.ident.to_string();
        if item.content.is_some() {
            self.inline = Some(name);
        } else {
            self.module.children.insert(name);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.import(&item.tree, Names::new());
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.path(path.segments.iter().map(|s| s.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {
        // `pub(in path)` uses nothing of the path
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        visit::visit_path(self, &call.path);
        self.scan(call.tokens.clone());
    }
}

/// Whether an item is there for tests only: `cfg(test)`, or `cfg(all(…))` with `test` in it.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let condition = attribute
            .path()
            .is_ident("cfg")
            .then(|| attribute.parse_args());
        condition.is_some_and(|meta| meta.is_ok_and(|meta| needs_test(&meta)))
    })
}

fn needs_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("all") => list
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|all| all.iter().any(needs_test)),
        _ => false,
    }
}
