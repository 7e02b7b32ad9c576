//! Patterns, and the variables that they bind.

use jaq_core::load::parse::{Pattern as Tree, Term};

use super::lowerer::Lowerer;
use super::scope::{Name, Scope};
use crate::ir::{Binding, Pattern};
use crate::syntax;

impl<'s> Lowerer<'s, '_> {
    /// Variables that are bound to what a source gives; they are in the scope afterwards.
    pub(super) fn binding(
        &mut self,
        source: &Term<&'s str>,
        pattern: &Tree<&'s str>,
        scope: &mut Scope<'s>,
    ) -> Binding {
        let source = self.term(source, scope);
        let mut names: Vec<&'s str> = Vec::new();
        let alternatives = syntax::alternatives(pattern);
        let patterns = alternatives
            .iter()
            .map(|pattern| self.pattern(pattern, &mut names, scope))
            .collect();
        let variables = names.len();
        for name in names {
            scope.push(Name::Variable(name));
        }
        Binding {
            source,
            patterns,
            variables,
        }
    }

    fn pattern(
        &mut self,
        pattern: &Tree<&'s str>,
        names: &mut Vec<&'s str>,
        scope: &mut Scope<'s>,
    ) -> Pattern {
        match pattern {
            Tree::Var(name) => {
                let known = names.iter().position(|known| known == name);
                Pattern::Var(known.unwrap_or_else(|| {
                    names.push(name);
                    names.len() - 1
                }))
            }
            Tree::Arr(inner) => Pattern::Array(
                inner
                    .iter()
                    .map(|inner| self.pattern(inner, names, scope))
                    .collect(),
            ),
            Tree::Obj(entries) => Pattern::Object(
                entries
                    .iter()
                    .map(|(key, inner)| {
                        let key = self.term(key, scope);
                        (key, self.pattern(inner, names, scope))
                    })
                    .collect(),
            ),
        }
    }
}

/// Whether a binding gives exactly one set of values.
pub(super) fn plain(binding: &Binding) -> bool {
    binding.patterns.len() == 1 && !has_keys(&binding.patterns[0])
}

/// Whether keys of a pattern are calculated.
fn has_keys(pattern: &Pattern) -> bool {
    match pattern {
        Pattern::Var(_) => false,
        Pattern::Array(inner) => inner.iter().any(has_keys),
        Pattern::Object(_) => true,
    }
}
