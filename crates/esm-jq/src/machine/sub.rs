//! `sub`: the function that puts something else in the place of matches.

use super::{Env, Flow, Item, Machine, Out};
use crate::fail::Exit;
use crate::ir::Id;
use crate::natives::regex_matches;
use crate::value::{Map, Math, Text, Val, calculate, get};

impl Machine<'_> {
    /// `sub(pattern; replacement; flags)`.
    pub(super) fn sub(
        &self,
        [pattern, replacement, flags]: [Id; 3],
        env: &Env,
        input: &Item,
        out: &mut Out<'_>,
    ) -> Flow {
        let asked = input.path.asked();
        self.values(pattern, env, &input.value, &mut |pattern| {
            self.values(flags, env, &input.value, &mut |flags| {
                self.replaced(
                    &pattern,
                    &flags,
                    replacement,
                    env,
                    &input.value,
                    &mut |value| out(Item::made(value, asked)),
                )
            })
        })
    }

    /// A text for each value that the replacement gives of a match.
    fn replaced(
        &self,
        pattern: &Val,
        flags: &Val,
        replacement: Id,
        env: &Env,
        input: &Val,
        out: &mut dyn FnMut(Val) -> Flow,
    ) -> Flow {
        let matches = regex_matches(self.budget, input, pattern, flags)?;
        let Val::Str(text) = input else { return Ok(()) };
        let mut results: Vec<Val> = Vec::new();
        let mut previous = 0;
        for found in matches {
            let gap = part(text, previous, found.from);
            previous = found.to;
            let mut at = 0;
            self.values(replacement, env, &captured(&found.value)?, &mut |value| {
                let inserted = calculate(Math::Add, gap.clone(), value, self.budget)?;
                if at == results.len() {
                    results.push(Val::Null);
                }
                let before = std::mem::take(&mut results[at]);
                results[at] = calculate(Math::Add, before, inserted, self.budget)?;
                at += 1;
                Ok(())
            })?;
        }
        if results.is_empty() {
            return out(input.clone());
        }
        let rest = part(text, previous, text.len());
        results
            .into_iter()
            .try_for_each(|result| out(calculate(Math::Add, result, rest.clone(), self.budget)?))
    }
}

fn part(text: &Text, from: usize, to: usize) -> Val {
    Val::Str(text.get(from..to).unwrap_or_default().to_vec().into())
}

/// The object of the named captures of a match.
fn captured(found: &Val) -> Result<Val, Exit> {
    let mut named = Map::default();
    if let Val::Arr(captures) = get(found, &"captures".into())? {
        for capture in captures.iter() {
            if let Val::Str(name) = get(capture, &"name".into())? {
                named.insert(name, get(capture, &"string".into())?);
            }
        }
    }
    Ok(Val::obj(named))
}
