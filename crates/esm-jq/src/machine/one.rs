//! Terms that give one output, and what terms make where nobody asks for a path.

use jaq_core::ops::Cmp;

use super::{Bound, Env, Flow, Item, Machine};
use crate::fail::{Exit, Fail};
use crate::ir::{Id, Op, Piece};
use crate::natives::{Format, Native, pseudonym};
use crate::value::{Map, Text, Val, bounds, calculate, get, negate, not_too_deep};

impl Machine<'_> {
    /// The output of a term that gives one.
    pub(super) fn one(&self, id: Id, env: &Env, input: Val) -> Result<Val, Exit> {
        let node = self.node(id);
        let result = self.one_of(id, env, input);
        match (result, node.at) {
            (Err(exit), Some(at)) => Err(exit.at(at as usize)),
            (result, _) => result,
        }
    }

    fn one_of(&self, id: Id, env: &Env, input: Val) -> Result<Val, Exit> {
        match &self.node(id).op {
            Op::Identity => Ok(input),
            Op::Const(value) => Ok(value.clone()),
            Op::Var(outwards) => match env.bound(*outwards) {
                Bound::Value(value) => Ok(value.clone()),
                _ => unreachable!("the compiler knows what is a variable"),
            },
            Op::Pipe(left, right) => {
                let middle = self.one(*left, env, input)?;
                self.one(*right, env, middle)
            }
            Op::Index(base, key, _) => self.index_one(*base, *key, env, input),
            Op::Math(op, left, right) => {
                let right = self.one(*right, env, input.clone())?;
                let left = self.one(*left, env, input)?;
                calculate(*op, left, right, self.budget)
            }
            Op::Compare(cmp, left, right) => {
                let right = self.one(*right, env, input.clone())?;
                let left = self.one(*left, env, input)?;
                Ok(compare(*cmp, &left, &right)?.into())
            }
            Op::And(left, right) => {
                let left = self.one(*left, env, input.clone())?.is_true();
                Ok((left && self.one(*right, env, input)?.is_true()).into())
            }
            Op::Or(left, right) => {
                let left = self.one(*left, env, input.clone())?.is_true();
                Ok((left || self.one(*right, env, input)?.is_true()).into())
            }
            Op::Alternative(left, right) => {
                let left = self.one(*left, env, input.clone())?;
                if left.is_true() {
                    Ok(left)
                } else {
                    self.one(*right, env, input)
                }
            }
            Op::If(condition, then, otherwise) => {
                let condition = self.one(*condition, env, input.clone())?;
                let chosen = if condition.is_true() { then } else { otherwise };
                self.one(*chosen, env, input)
            }
            Op::Native(native, arguments) => self.native_one(native, arguments, env, input),
            Op::Pseudonym(key) => Ok(pseudonym(key, &input)?),
            Op::Call(call) => {
                let env = self.called(call, env)?;
                self.one(self.code.bodies[call.function], &env, input)
            }
            _ => self.one_by_many(id, env, input),
        }
    }

    /// The only output of a term that hands its outputs over.
    fn one_by_many(&self, id: Id, env: &Env, input: Val) -> Result<Val, Exit> {
        let mut found = None;
        self.many(id, env, input, &mut |value| {
            found = Some(value);
            Ok(())
        })?;
        found.ok_or_else(|| Fail::text("No output").into())
    }

    fn index_one(&self, base: Id, key: Id, env: &Env, input: Val) -> Result<Val, Exit> {
        let base = if matches!(self.node(base).op, Op::Identity) {
            if let Op::Const(key) = &self.node(key).op {
                return Ok(get(&input, key)?);
            }
            input.clone()
        } else {
            self.one(base, env, input.clone())?
        };
        let key = self.one(key, env, input)?;
        Ok(get(&base, &key)?)
    }

    fn native_one(
        &self,
        native: &Native,
        arguments: &[Id],
        env: &Env,
        input: Val,
    ) -> Result<Val, Exit> {
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.one(*argument, env, input.clone())?);
        }
        (native.run)(self.budget, input, &values)
    }

    /// Hands over what a term makes; one that gives a single output also comes here.
    pub(super) fn made(
        &self,
        id: Id,
        env: &Env,
        input: &Val,
        out: &mut dyn FnMut(Val) -> Flow,
    ) -> Flow {
        if self.node(id).single {
            out(self.one(id, env, input.clone())?)
        } else {
            self.many(id, env, input.clone(), out)
        }
    }

    fn many(&self, id: Id, env: &Env, input: Val, out: &mut dyn FnMut(Val) -> Flow) -> Flow {
        match &self.node(id).op {
            Op::Interpolated(format, pieces) => {
                self.interpolated(*format, pieces, env, &input, &mut Vec::new(), out)
            }
            Op::Array(inner) => out(self.array(*inner, env, &input)?),
            Op::Object(entries) => self.object(entries, env, &input, Map::default(), out),
            Op::Negate(inner) => self.values(*inner, env, &input, &mut |value| out(negate(value)?)),
            Op::Math(op, left, right) => self.values(*right, env, &input, &mut |right| {
                self.values(*left, env, &input, &mut |left| {
                    out(calculate(*op, left, right.clone(), self.budget)?)
                })
            }),
            Op::Compare(cmp, left, right) => self.values(*right, env, &input, &mut |right| {
                self.values(*left, env, &input, &mut |left| {
                    out(compare(*cmp, &left, &right)?.into())
                })
            }),
            Op::And(left, right) => self.logic(*left, *right, false, env, &input, out),
            Op::Or(left, right) => self.logic(*left, *right, true, env, &input, out),
            Op::Native(native, arguments) => {
                let mut values = vec![Val::Null; arguments.len()];
                self.native(native, arguments, env, &input, &mut values, out)
            }
            Op::Assign(paths, values) => self.assign(*paths, *values, env, input, out),
            Op::Update(paths, update) => out(self.update(*paths, *update, env, input)?),
            Op::UpdateBy(paths, math, values) => {
                self.update_by(*paths, *math, *values, env, input, out)
            }
            Op::Slice(base, from, to, _) => {
                let base = self.one(*base, env, input.clone())?;
                self.slices(*from, *to, env, &input, &mut |key| out(get(&base, &key)?))
            }
            // all others are run in the place of their caller
            _ => self.plainly(id, env, input, out),
        }
    }

    fn array(&self, inner: Option<Id>, env: &Env, input: &Val) -> Result<Val, Exit> {
        let mut elements = Vec::new();
        if let Some(inner) = inner {
            self.values(inner, env, input, &mut |value| {
                self.budget.make(size_of_element(&value))?;
                elements.push(value);
                Ok(())
            })?;
        }
        Ok(elements.into())
    }

    fn logic(
        &self,
        left: Id,
        right: Id,
        stops: bool,
        env: &Env,
        input: &Val,
        out: &mut dyn FnMut(Val) -> Flow,
    ) -> Flow {
        self.values(left, env, input, &mut |left| {
            if left.is_true() == stops {
                return out(stops.into());
            }
            self.values(right, env, input, &mut |right| out(right.is_true().into()))
        })
    }

    fn object(
        &self,
        entries: &[(Id, Id)],
        env: &Env,
        input: &Val,
        map: Map,
        out: &mut dyn FnMut(Val) -> Flow,
    ) -> Flow {
        let Some(((key, value), rest)) = entries.split_first() else {
            return out(Val::obj(map));
        };
        if self.node(*key).single && self.node(*value).single {
            let mut map = map;
            let key = object_key(self.one(*key, env, input.clone())?)?;
            map.insert(key, self.one(*value, env, input.clone())?);
            return self.object(rest, env, input, map, out);
        }
        self.values(*key, env, input, &mut |key| {
            let key = object_key(key)?;
            self.values(*value, env, input, &mut |value| {
                let mut map = map.clone();
                map.insert(key.clone(), value);
                self.object(rest, env, input, map, out)
            })
        })
    }

    /// The first part varies fastest.
    fn interpolated(
        &self,
        format: Format,
        pieces: &[Piece],
        env: &Env,
        input: &Val,
        after: &mut Vec<Text>,
        out: &mut dyn FnMut(Val) -> Flow,
    ) -> Flow {
        match pieces.split_last() {
            None => {
                let parts = after.iter().rev();
                let length: usize = after.iter().map(|part| part.len()).sum();
                self.budget.make(length as u64)?;
                let mut text = Vec::with_capacity(length);
                parts.for_each(|part| text.extend_from_slice(part));
                out(Val::Str(text.into()))
            }
            Some((Piece::Text(text), rest)) => {
                after.push(text.as_str().into());
                let flow = self.interpolated(format, rest, env, input, after, out);
                after.pop();
                flow
            }
            Some((Piece::Term(term), rest)) => self.values(*term, env, input, &mut |value| {
                after.push(format.apply(value, self.budget)?);
                let flow = self.interpolated(format, rest, env, input, after, out);
                after.pop();
                flow
            }),
        }
    }

    /// The first argument varies fastest.
    fn native(
        &self,
        native: &Native,
        arguments: &[Id],
        env: &Env,
        input: &Val,
        values: &mut Vec<Val>,
        out: &mut dyn FnMut(Val) -> Flow,
    ) -> Flow {
        let Some((last, rest)) = arguments.split_last() else {
            return out((native.run)(self.budget, input.clone(), values)?);
        };
        self.values(*last, env, input, &mut |value| {
            values[rest.len()] = value;
            self.native(native, rest, env, input, values, out)
        })
    }

    /// Hands over the keys `{start, end}` of a slice.
    pub(super) fn slices(
        &self,
        from: Option<Id>,
        to: Option<Id>,
        env: &Env,
        input: &Val,
        out: &mut dyn FnMut(Val) -> Flow,
    ) -> Flow {
        let bound = |id: Option<Id>, out: &mut dyn FnMut(Val) -> Flow| match id {
            Some(id) => self.values(id, env, input, out),
            None => out(Val::Null),
        };
        bound(from, &mut |from| {
            bound(to, &mut |to| {
                let mut slice = Map::default();
                slice.insert("start".into(), from.clone());
                slice.insert("end".into(), to);
                bounds(&slice, 0)?;
                out(Val::obj(slice))
            })
        })
    }

    fn plainly(&self, id: Id, env: &Env, input: Val, out: &mut dyn FnMut(Val) -> Flow) -> Flow {
        let mut taken = |item: Item| out(item.value);
        match self.step(id, env.clone(), Item::plain(input), &mut taken)? {
            Some(super::eval::Next(id, env, input)) => self.eval(id, env, input, &mut taken),
            None => Ok(()),
        }
    }
}

fn object_key(key: Val) -> Result<Text, Fail> {
    match key {
        Val::Str(key) => Ok(key),
        other => Err(Fail::object_key(other)),
    }
}

fn compare(cmp: Cmp, left: &Val, right: &Val) -> Result<bool, Fail> {
    let holds = match cmp {
        Cmp::Eq => left.equals(right),
        Cmp::Ne => !left.equals(right),
        Cmp::Lt => left.less(right),
        Cmp::Ge => !left.less(right),
        Cmp::Gt => !(left.less(right) || left.equals(right)),
        Cmp::Le => left.less(right) || left.equals(right),
    };
    not_too_deep(match cmp {
        Cmp::Eq | Cmp::Ne => "Equality check too deep",
        _ => "Comparison too deep",
    })?;
    Ok(holds)
}

/// What an array takes for an element. Arrays and objects in it are shared with where they are from.
fn size_of_element(value: &Val) -> u64 {
    let text = match value {
        Val::Str(text) => text.len(),
        _ => 0,
    };
    (size_of::<Val>() + text) as u64
}
