//! Functions that run their arguments.

use super::eval::Next;
use super::{Env, Flow, Item, Machine, Out};
use crate::fail::{Exit, Fail};
use crate::ir::{Control, Id};
use crate::value::{Math, Num, Val, calculate};

impl Machine<'_> {
    pub(super) fn control(
        &self,
        control: Control,
        arguments: &[Id],
        env: Env,
        input: Item,
        out: &mut Out<'_>,
    ) -> Result<Option<Next>, Exit> {
        match (control, arguments) {
            (Control::Empty, _) => {}
            (Control::Path, [term]) => {
                let asked = input.path.asked();
                self.eval(*term, env, Item::root(input.value), &mut |item| {
                    out(Item::made(item.keys()?.into(), asked))
                })?;
            }
            (Control::GetPath, [path]) => {
                self.values(*path, &env, &input.value, &mut |path| match path {
                    Val::Arr(keys) => out(input.get_path(&keys)?),
                    _ => Err(Fail::text("Path must be specified as an array").into()),
                })?;
            }
            (Control::Recurse, _) => self.recurse(&input, out)?,
            (Control::RecurseBy, [term]) => self.recurse_by(*term, &env, input, out)?,
            (Control::Range, [from, to, by]) => {
                self.ranges([*from, *to, *by], &env, &input, out)?
            }
            (Control::First, [term]) => {
                if let Some(item) = self.first(*term, &env, input)? {
                    out(item)?;
                }
            }
            (Control::Last, [term]) => self.last(*term, &env, input, out)?,
            (Control::Limit, [count, term]) => {
                self.counts(
                    *count,
                    &env,
                    &input,
                    "limit doesn't support negative count",
                    &mut |n| self.limit(n, *term, &env, input.clone(), out),
                )?;
            }
            (Control::Skip, [count, term]) => {
                self.counts(
                    *count,
                    &env,
                    &input,
                    "skip doesn't support negative count",
                    &mut |n| {
                        let mut left = n;
                        self.eval(*term, env.clone(), input.clone(), &mut |item| {
                            if left > 0.0 {
                                left -= 1.0;
                                return Ok(());
                            }
                            out(item)
                        })
                    },
                )?;
            }
            (Control::Until, [condition, update]) => {
                self.until(*condition, *update, &env, input, out)?;
            }
            (Control::While, [condition, update]) => {
                self.while_(*condition, *update, &env, input, out)?;
            }
            (Control::Sub, [pattern, replacement, flags]) => {
                self.sub([*pattern, *replacement, *flags], &env, &input, out)?;
            }
            (Control::Repeat, [update]) => self.repeat(*update, &env, input, out)?,
            _ => {
                let asked = input.path.asked();
                let value = self.answer(control, arguments, &env, &input.value)?;
                out(Item::made(value, asked))?;
            }
        }
        Ok(None)
    }

    /// Functions that give one value.
    fn answer(
        &self,
        control: Control,
        arguments: &[Id],
        env: &Env,
        input: &Val,
    ) -> Result<Val, Exit> {
        match (control, arguments) {
            (Control::IsEmpty, [term]) => {
                let first = self.first_value(*term, env, input.clone())?;
                Ok(first.is_none().into())
            }
            (Control::Any, [source, condition]) => {
                Ok(self.found(*source, *condition, true, env, input)?.into())
            }
            (Control::All, [source, condition]) => {
                Ok((!self.found(*source, *condition, false, env, input)?).into())
            }
            (Control::Add, [term]) => {
                let mut sum = Val::Null;
                self.values(*term, env, input, &mut |value| {
                    sum = calculate(Math::Add, std::mem::take(&mut sum), value, self.budget)?;
                    Ok(())
                })?;
                Ok(sum)
            }
            _ => unreachable!("the compiler counts arguments"),
        }
    }

    /// Whether a condition is once as true as wanted.
    fn found(
        &self,
        source: Id,
        condition: Id,
        wanted: bool,
        env: &Env,
        input: &Val,
    ) -> Result<bool, Exit> {
        let label = self.label();
        let flow = self.values(source, env, input, &mut |value| {
            self.values(condition, env, &value, &mut |value| {
                if value.is_true() == wanted {
                    Err(Exit::Break(label))
                } else {
                    Ok(())
                }
            })
        });
        match flow {
            Err(Exit::Break(at)) if at == label => Ok(true),
            flow => flow.map(|()| false),
        }
    }

    fn first(&self, term: Id, env: &Env, input: Item) -> Result<Option<Item>, Exit> {
        let label = self.label();
        let mut found = None;
        let flow = self.eval(term, env.clone(), input, &mut |item| {
            found = Some(item);
            Err(Exit::Break(label))
        });
        match flow {
            Err(Exit::Break(at)) if at == label => Ok(found),
            flow => flow.map(|()| None),
        }
    }

    fn last(&self, term: Id, env: &Env, input: Item, out: &mut Out<'_>) -> Flow {
        let asked = input.path.asked();
        let mut found = None;
        self.values(term, env, &input.value, &mut |value| {
            found = Some(value);
            Ok(())
        })?;
        found.map_or(Ok(()), |value| out(Item::made(value, asked)))
    }

    /// Hands over the numbers that a term gives, none of them negative.
    fn counts(
        &self,
        count: Id,
        env: &Env,
        input: &Item,
        negative: &'static str,
        next: &mut dyn FnMut(f64) -> Flow,
    ) -> Flow {
        self.values(count, env, &input.value, &mut |count| match &count {
            count if count.less(&Val::int(0)) => Err(Fail::text(negative).into()),
            Val::Num(count) => next(count.as_f64()),
            // all others are greater than any number
            _ => next(f64::INFINITY),
        })
    }

    fn limit(&self, count: f64, term: Id, env: &Env, input: Item, out: &mut Out<'_>) -> Flow {
        if count <= 0.0 {
            return Ok(());
        }
        let label = self.label();
        let mut left = count;
        let mut last = None;
        let flow = self.eval(term, env.clone(), input, &mut |item| {
            left -= 1.0;
            if left > 0.0 {
                return out(item);
            }
            last = Some(item);
            Err(Exit::Break(label))
        });
        match flow {
            Err(Exit::Break(at)) if at == label => last.map_or(Ok(()), out),
            flow => flow,
        }
    }

    fn recurse(&self, item: &Item, out: &mut Out<'_>) -> Flow {
        self.budget.stack()?;
        out(item.clone())?;
        match &item.value {
            Val::Arr(_) | Val::Obj(_) => item.each(&mut |inner| self.recurse(&inner, out)),
            _ => Ok(()),
        }
    }

    fn recurse_by(&self, term: Id, env: &Env, item: Item, out: &mut Out<'_>) -> Flow {
        self.budget.step()?;
        out(item.clone())?;
        self.eval(term, env.clone(), item, &mut |inner| {
            self.recurse_by(term, env, inner, out)
        })
    }

    fn ranges(&self, [from, to, by]: [Id; 3], env: &Env, input: &Item, out: &mut Out<'_>) -> Flow {
        let asked = input.path.asked();
        self.values(from, env, &input.value, &mut |from| {
            self.values(to, env, &input.value, &mut |to| {
                self.values(by, env, &input.value, &mut |by| {
                    let numbers = [&from, &to, &by];
                    if !numbers.iter().all(|value| matches!(value, Val::Num(_))) {
                        return Err(Fail::text("Range bounds must be numeric").into());
                    }
                    self.range(from.clone(), &to, &by, &mut |value| {
                        out(Item::made(value, asked))
                    })
                })
            })
        })
    }

    fn range(&self, from: Val, to: &Val, by: &Val, out: &mut dyn FnMut(Val) -> Flow) -> Flow {
        let zero = Val::int(0);
        let (up, down) = (zero < *by, *by < zero);
        let mut next = from;
        while (up && next < *to) || (down && *to < next) {
            self.budget.step()?;
            let current = next.clone();
            next = match (&next, by) {
                (Val::Num(Num::Int(x)), Val::Num(Num::Int(by))) if x.checked_add(*by).is_some() => {
                    Val::int(x + by)
                }
                _ => calculate(Math::Add, next, by.clone(), self.budget)?,
            };
            out(current)?;
        }
        Ok(())
    }

    fn until(&self, condition: Id, update: Id, env: &Env, input: Item, out: &mut Out<'_>) -> Flow {
        self.budget.step()?;
        let plain = self.node(condition).single && self.node(update).single;
        if plain && !input.path.asked() {
            let mut value = input.value;
            while !self.one(condition, env, value.clone())?.is_true() {
                self.budget.step()?;
                value = self.one(update, env, value)?;
            }
            return out(Item::plain(value));
        }
        self.values(condition, env, &input.value, &mut |done| {
            if done.is_true() {
                return out(input.clone());
            }
            self.eval(update, env.clone(), input.clone(), &mut |item| {
                self.until(condition, update, env, item, out)
            })
        })
    }

    fn while_(&self, condition: Id, update: Id, env: &Env, input: Item, out: &mut Out<'_>) -> Flow {
        self.budget.step()?;
        let plain = self.node(condition).single && self.node(update).single;
        if plain && !input.path.asked() {
            let mut value = input.value;
            while self.one(condition, env, value.clone())?.is_true() {
                self.budget.step()?;
                out(Item::plain(value.clone()))?;
                value = self.one(update, env, value)?;
            }
            return Ok(());
        }
        self.values(condition, env, &input.value, &mut |goes_on| {
            if !goes_on.is_true() {
                return Ok(());
            }
            out(input.clone())?;
            self.eval(update, env.clone(), input.clone(), &mut |item| {
                self.while_(condition, update, env, item, out)
            })
        })
    }

    /// `update, repeat(update)`.
    fn repeat(&self, update: Id, env: &Env, input: Item, out: &mut Out<'_>) -> Flow {
        loop {
            self.budget.step()?;
            self.eval(update, env.clone(), input.clone(), out)?;
        }
    }
}
