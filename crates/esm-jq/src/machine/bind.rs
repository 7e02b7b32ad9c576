//! Variables, and the loops that bind them.

use super::eval::Next;
use super::{Env, Flow, Item, Machine, Out, Path};
use crate::fail::{Exit, Fail};
use crate::ir::{Binding, Id, Pattern};
use crate::value::{Val, get};

impl Machine<'_> {
    /// `source as patterns | body`.
    pub(super) fn bind_and(
        &self,
        binding: &Binding,
        body: Id,
        env: Env,
        input: Item,
        out: &mut Out<'_>,
    ) -> Result<Option<Next>, Exit> {
        if let [Pattern::Var(_)] = binding.patterns[..] {
            if self.node(binding.source).single {
                let value = self.one(binding.source, &env, input.value.clone())?;
                return Ok(Some(Next(body, Self::env_with(&env, value), input)));
            }
            self.values(binding.source, &env, &input.value, &mut |value| {
                self.eval(body, Self::env_with(&env, value), input.clone(), out)
            })?;
            return Ok(None);
        }
        self.values(binding.source, &env, &input.value, &mut |value| {
            self.bound(binding, &value, &env, &mut |env| {
                self.eval(body, env, input.clone(), out)
            })
        })?;
        Ok(None)
    }

    /// Hands over the variables that a value gives. Where what follows fails, the next alternative
    /// of the pattern is tried.
    fn bound(
        &self,
        binding: &Binding,
        value: &Val,
        env: &Env,
        next: &mut dyn FnMut(Env) -> Flow,
    ) -> Flow {
        let (last, before) = match binding.patterns.split_last() {
            Some(split) => split,
            None => return Ok(()),
        };
        let mut with = |pattern: &Pattern| {
            let mut variables = vec![Val::Null; binding.variables];
            self.destructure(pattern, value, env, &mut variables, &mut |variables| {
                let with = |env: Env, value: &Val| Self::env_with(&env, value.clone());
                next(variables.iter().fold(env.clone(), with))
            })
        };
        for pattern in before {
            match with(pattern) {
                Err(Exit::Fail(_)) => {}
                flow => return flow,
            }
        }
        with(last)
    }

    fn destructure(
        &self,
        pattern: &Pattern,
        value: &Val,
        env: &Env,
        variables: &mut Vec<Val>,
        next: &mut dyn FnMut(&mut Vec<Val>) -> Flow,
    ) -> Flow {
        match pattern {
            Pattern::Var(at) => {
                variables[*at] = value.clone();
                next(variables)
            }
            Pattern::Array(inner) => self.elements(inner, 0, value, env, variables, next),
            Pattern::Object(entries) => self.entries(entries, value, env, variables, next),
        }
    }

    fn elements(
        &self,
        patterns: &[Pattern],
        at: i64,
        value: &Val,
        env: &Env,
        variables: &mut Vec<Val>,
        next: &mut dyn FnMut(&mut Vec<Val>) -> Flow,
    ) -> Flow {
        let Some((first, rest)) = patterns.split_first() else {
            return next(variables);
        };
        let element = get(value, &Val::int(at))?;
        self.destructure(first, &element, env, variables, &mut |variables| {
            self.elements(rest, at + 1, value, env, variables, next)
        })
    }

    fn entries(
        &self,
        entries: &[(Id, Pattern)],
        value: &Val,
        env: &Env,
        variables: &mut Vec<Val>,
        next: &mut dyn FnMut(&mut Vec<Val>) -> Flow,
    ) -> Flow {
        let Some(((key, pattern), rest)) = entries.split_first() else {
            return next(variables);
        };
        self.values(*key, env, value, &mut |key| {
            if !matches!(key, Val::Str(_)) {
                return Err(Fail::index(value, &key).into());
            }
            let element = get(value, &key)?;
            self.destructure(pattern, &element, env, variables, &mut |variables| {
                self.entries(rest, value, env, variables, next)
            })
        })
    }

    /// Hands over the variables of a loop, and the item that each is made of.
    fn each_bound(
        &self,
        binding: &Binding,
        env: &Env,
        input: &Item,
        next: &mut dyn FnMut(Env, &Item) -> Flow,
    ) -> Flow {
        self.eval(binding.source, env.clone(), input.clone(), &mut |item| {
            self.bound(binding, &item.value, env, &mut |env| next(env, &item))
        })
    }

    pub(super) fn reduce(
        &self,
        binding: &Binding,
        (init, update): (Id, Id),
        env: &Env,
        input: Item,
        out: &mut Out<'_>,
    ) -> Flow {
        self.eval(init, env.clone(), input.clone(), &mut |state| {
            let asked = state.path.asked();
            let mut state = Some(state);
            self.each_bound(
                binding,
                env,
                &Item::plain(input.value.clone()),
                &mut |env, _| {
                    let before = state.take().unwrap_or_else(|| Item::made(Val::Null, asked));
                    if !asked && self.node(update).single {
                        state = Some(Item::plain(self.one(update, &env, before.value)?));
                        return Ok(());
                    }
                    self.eval(update, env, before, &mut |item| {
                        state = Some(item);
                        Ok(())
                    })
                },
            )?;
            out(state.take().unwrap_or_else(|| Item::made(Val::Null, asked)))
        })
    }

    pub(super) fn foreach(
        &self,
        binding: &Binding,
        (init, update, extract): (Id, Id, Option<Id>),
        env: &Env,
        input: Item,
        out: &mut Out<'_>,
    ) -> Flow {
        self.eval(init, env.clone(), input.clone(), &mut |state| {
            let mut state = state;
            self.each_bound(binding, env, &input, &mut |env, source| {
                let before = state.clone();
                self.eval(update, env.clone(), before, &mut |item| {
                    state = item.clone();
                    match extract {
                        None => out(item),
                        Some(extract) => self.eval(extract, env.clone(), item, &mut |item| {
                            out(source.instead_of(item))
                        }),
                    }
                })
            })
        })
    }
}

impl Item {
    /// This item, if the other is the same value and was reached by no path: a variable that is
    /// bound to what a path led to leads there too.
    fn instead_of(&self, other: Self) -> Self {
        let same = matches!(other.path, Path::None) && self.value == other.value;
        if same { self.clone() } else { other }
    }
}
