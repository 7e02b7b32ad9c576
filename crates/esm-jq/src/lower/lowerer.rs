//! What is known of a program while it is compiled.

use std::collections::HashMap;

use esm_core::transform::MaskingKey;

use crate::diagnostic::Fault;
use crate::ir::{Id, Node, Op};
use crate::prelude;
use crate::value::Val;

/// A program that is being compiled.
pub(super) struct Lowerer<'s, 'k> {
    pub(super) code: &'s str,
    /// What pseudonyms are made with.
    pub(super) key: Option<&'k MaskingKey>,
    /// Whether pseudonyms are made.
    pub(super) masks: bool,
    pub(super) nodes: Vec<Node>,
    pub(super) bodies: Vec<Id>,
    /// Whether the body of a function is known.
    pub(super) done: Vec<bool>,
    /// The functions that the current place is inside of.
    pub(super) open: Vec<usize>,
    /// Functions of the prelude that were compiled, with their numbers.
    pub(super) prelude: HashMap<(&'static str, usize), usize>,
    pub(super) faults: Vec<Fault<'s>>,
}

impl<'s, 'k> Lowerer<'s, 'k> {
    pub(super) fn new(code: &'s str, key: Option<&'k MaskingKey>) -> Self {
        Self {
            code,
            key,
            masks: false,
            nodes: Vec::new(),
            bodies: Vec::new(),
            done: Vec::new(),
            open: Vec::new(),
            prelude: HashMap::new(),
            faults: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, op: Op, single: bool) -> Id {
        self.nodes.push(Node {
            op,
            single,
            at: None,
        });
        (self.nodes.len() - 1) as Id
    }

    pub(super) fn single(&self, id: Id) -> bool {
        self.nodes[id as usize].single
    }

    pub(super) fn all_single(&self, ids: &[Id]) -> bool {
        ids.iter().all(|id| self.single(*id))
    }

    pub(super) fn constant(&mut self, value: Val) -> Id {
        self.add(Op::Const(value), true)
    }

    pub(super) fn fault(&mut self, found: &'s str, what: impl Into<String>) -> Id {
        self.faults.push(Fault::new(found, what));
        self.add(Op::Identity, true)
    }

    pub(super) fn undefined(&mut self, name: &'s str, what: String) -> Id {
        let fault = match prelude::absent(name) {
            Some(reason) => Fault::new(name, format!("not available in a transformation: {name}"))
                .with_hint(format!("`{name}` is left out: {reason}")),
            None => Fault::new(name, what),
        };
        self.faults.push(fault);
        self.add(Op::Identity, true)
    }
}

/// Where a part of the program is in it; `None` if it is of the prelude.
pub(super) fn offset(code: &str, found: &str) -> Option<u32> {
    let at = (found.as_ptr() as usize).checked_sub(code.as_ptr() as usize)?;
    (at < code.len()).then_some(at as u32)
}
