//! Assignments: `=`, `|=`, `+=` and the like.

use super::{Bound, Env, Flow, Item, Machine};
use crate::fail::Exit;
use crate::ir::{Id, Op};
use crate::value::{Math, Val, calculate, delete_paths, get_path, set_path, take_path};

impl Machine<'_> {
    /// The paths that a term reaches from a value.
    pub(super) fn paths(&self, id: Id, env: &Env, input: &Val) -> Result<Vec<Vec<Val>>, Exit> {
        let mut plain = Vec::new();
        if self.plain_path(id, &mut plain) {
            return Ok(vec![plain]);
        }
        let mut paths = Vec::new();
        self.eval(id, env.clone(), Item::root(input.clone()), &mut |item| {
            let keys = item.keys()?;
            self.budget.make((keys.len() * size_of::<Val>()) as u64)?;
            paths.push(keys);
            Ok(())
        })?;
        Ok(paths)
    }

    /// Whether a term is `.a.b.c`; its keys.
    fn plain_path(&self, id: Id, keys: &mut Vec<Val>) -> bool {
        match &self.node(id).op {
            Op::Identity => true,
            Op::Index(base, key, false) => match &self.node(*key).op {
                Op::Const(key @ Val::Str(_)) => {
                    let plain = self.plain_path(*base, keys);
                    keys.push(key.clone());
                    plain
                }
                _ => false,
            },
            _ => false,
        }
    }

    pub(super) fn assign(
        &self,
        paths: Id,
        values: Id,
        env: &Env,
        input: Val,
        out: &mut dyn FnMut(Val) -> Flow,
    ) -> Flow {
        if self.node(values).single {
            let value = self.one(values, env, input.clone())?;
            return out(self.assigned(paths, &value, env, input)?);
        }
        self.values(values, env, &input, &mut |value| {
            out(self.assigned(paths, &value, env, input.clone())?)
        })
    }

    fn assigned(&self, paths: Id, value: &Val, env: &Env, input: Val) -> Result<Val, Exit> {
        let paths = self.paths(paths, env, &input)?;
        let mut changed = input;
        for path in paths {
            set_path(&mut changed, &path, value.clone(), self.budget)?;
        }
        Ok(changed)
    }

    /// `paths |= update`: the first output of the update, or a deletion if it gives none.
    pub(super) fn update(&self, paths: Id, update: Id, env: &Env, input: Val) -> Result<Val, Exit> {
        self.updated(paths, env, input, &mut |old| {
            self.first_value(update, env, old)
        })
    }

    /// `paths op= values`.
    pub(super) fn update_by(
        &self,
        paths: Id,
        math: Option<Math>,
        values: Id,
        env: &Env,
        input: Val,
        out: &mut dyn FnMut(Val) -> Flow,
    ) -> Flow {
        let by = |value: &Val, input: Val| {
            self.updated(paths, env, input, &mut |old| match math {
                Some(math) => calculate(math, old, value.clone(), self.budget).map(Some),
                None if old.is_true() => Ok(Some(old)),
                None => Ok(Some(value.clone())),
            })
        };
        if self.node(values).single {
            let value = self.one(values, env, input.clone())?;
            return out(by(&value, input)?);
        }
        self.values(values, env, &input, &mut |value| {
            out(by(&value, input.clone())?)
        })
    }

    fn updated(
        &self,
        paths: Id,
        env: &Env,
        input: Val,
        update: &mut dyn FnMut(Val) -> Result<Option<Val>, Exit>,
    ) -> Result<Val, Exit> {
        let paths = self.paths(paths, env, &input)?;
        // Of two paths of one length none leads through the other: what is at one can be taken out
        // while it is changed, and changes in place.
        let apart = paths.iter().all(|path| path.len() == paths[0].len());
        let mut changed = input;
        let mut deleted: Vec<Val> = Vec::new();
        for path in paths {
            let old = if apart && !deleted.iter().any(|gone| is_path(gone, &path)) {
                take_path(&mut changed, &path)?
            } else {
                get_path(&changed, &path)?
            };
            match update(old)? {
                Some(new) => set_path(&mut changed, &path, new, self.budget)?,
                None => deleted.push(path.into()),
            }
        }
        if deleted.is_empty() {
            Ok(changed)
        } else {
            Ok(delete_paths(changed, deleted)?)
        }
    }

    /// The first output of a term, if it gives one.
    pub(super) fn first_value(&self, id: Id, env: &Env, input: Val) -> Result<Option<Val>, Exit> {
        if self.node(id).single {
            return self.one(id, env, input).map(Some);
        }
        let label = self.label();
        let mut found = None;
        let flow = self.eval(id, env.clone(), Item::plain(input), &mut |item| {
            found = Some(item.value);
            Err(Exit::Break(label))
        });
        match flow {
            Err(Exit::Break(at)) if at == label => Ok(found),
            flow => flow.map(|()| None),
        }
    }

    pub(super) fn env_with(env: &Env, value: Val) -> Env {
        env.push(Bound::Value(value))
    }
}

fn is_path(value: &Val, path: &[Val]) -> bool {
    matches!(value, Val::Arr(keys) if keys[..] == *path)
}
