//! How a value was reached.

use std::rc::Rc;

use super::Item;
use crate::fail::{Exit, Fail};
use crate::value::{Val, get, not_too_long};

/// How a value was reached from the one that a path is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Path {
    /// Nobody asks.
    Ignored,
    /// By no path: it was made.
    None,
    /// By these keys.
    Known(Steps),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Steps(Option<Rc<Step>>);

#[derive(Debug)]
struct Step {
    key: Val,
    before: Steps,
}

impl Path {
    pub(super) fn asked(&self) -> bool {
        !matches!(self, Self::Ignored)
    }
}

impl Steps {
    fn then(&self, key: Val) -> Self {
        let before = self.clone();
        Self(Some(Rc::new(Step { key, before })))
    }

    /// The keys, outermost first.
    pub(super) fn keys(&self) -> Vec<Val> {
        let mut keys = Vec::new();
        let mut at = &self.0;
        while let Some(step) = at {
            keys.push(step.key.clone());
            at = &step.before.0;
        }
        keys.reverse();
        keys
    }
}

impl Item {
    /// The value that a path is asked from.
    pub(super) fn root(value: Val) -> Self {
        Self {
            value,
            path: Path::Known(Steps::default()),
        }
    }

    /// The keys of the path that was asked for.
    pub(super) fn keys(&self) -> Result<Vec<Val>, Exit> {
        match &self.path {
            Path::Known(steps) => Ok(steps.keys()),
            Path::None | Path::Ignored => {
                let what = "Invalid path expression with result";
                Err(Fail::about(what, self.value.clone()).into())
            }
        }
    }

    /// What is at a key; where the value was made, no path can be asked for.
    pub(super) fn index(&self, key: &Val) -> Result<Self, Exit> {
        let path = self.at(key)?;
        let value = get(&self.value, key)?;
        Ok(Self { value, path })
    }

    fn at(&self, key: &Val) -> Result<Path, Fail> {
        match &self.path {
            Path::Ignored => Ok(Path::Ignored),
            Path::Known(steps) => Ok(Path::Known(steps.then(key.clone()))),
            Path::None => Err(Fail::access(&self.value, key)),
        }
    }

    /// What is at a path.
    pub(super) fn get_path(&self, keys: &[Val]) -> Result<Self, Exit> {
        not_too_long(keys)?;
        let mut item = self.clone();
        for key in keys {
            let path = item.at(key)?;
            let value = match &item.value {
                Val::Null => Val::Null,
                value => get(value, key)?,
            };
            item = Self { value, path };
        }
        Ok(item)
    }

    /// All that is in it, one by one.
    pub(super) fn each(&self, out: &mut super::Out<'_>) -> super::Flow {
        if matches!(self.path, Path::None) {
            return Err(Fail::access(&self.value, &Val::Null).into());
        }
        let item = |key: &dyn Fn() -> Val, value: &Val| {
            let path = match &self.path {
                Path::Known(steps) => Path::Known(steps.then(key())),
                _ => Path::Ignored,
            };
            let value = value.clone();
            Self { value, path }
        };
        match &self.value {
            Val::Arr(array) => array
                .iter()
                .enumerate()
                .try_for_each(|(at, value)| out(item(&|| Val::int(at as i64), value))),
            Val::Obj(map) => map
                .iter()
                .try_for_each(|(key, value)| out(item(&|| Val::Str(key.clone()), value))),
            other => Err(Fail::about("Cannot iterate over", other.clone()).into()),
        }
    }
}
