//! The order of all values, and equality.

use std::cmp::Ordering;

use std::cell::Cell;

use super::{DEEPEST, Map, Text, Val};
use crate::fail::Fail;

thread_local! {
    /// Whether values were compared that are nested too deeply.
    static TOO_DEEP: Cell<bool> = const { Cell::new(false) };
}

/// Forgets what was compared so far.
pub(crate) fn forget_depth() {
    TOO_DEEP.set(false);
}

/// Fails if values were compared that are nested too deeply: their order is none.
pub(crate) fn not_too_deep(what: &str) -> Result<(), Fail> {
    if TOO_DEEP.replace(false) {
        Err(Fail::text(what))
    } else {
        Ok(())
    }
}

impl Val {
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(false) => 1,
            Self::Bool(true) => 2,
            Self::Num(_) => 3,
            Self::Str(_) => 4,
            Self::Arr(_) => 5,
            Self::Obj(_) => 6,
        }
    }

    /// Whether it is less, as `<` has it: NaN is less than every number, itself among them.
    pub(crate) fn less(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Num(x), Self::Num(_)) if x.is_nan() => true,
            _ => self < other,
        }
    }

    /// Whether they are equal, as `==` has it: NaN equals nothing.
    pub(crate) fn equals(&self, other: &Self) -> bool {
        self.equals_at(other, 0)
    }

    fn equals_at(&self, other: &Self, depth: usize) -> bool {
        if too_deep(depth) {
            return true;
        }
        match (self, other) {
            (Self::Num(x), Self::Num(y)) => x == y && !x.is_nan(),
            (Self::Arr(x), Self::Arr(y)) => {
                let mut pairs = x.iter().zip(y.iter());
                x.len() == y.len() && pairs.all(|(x, y)| x.equals_at(y, depth + 1))
            }
            (Self::Obj(x), Self::Obj(y)) => {
                let same = |(key, value): (&Text, &Self)| {
                    y.get(key)
                        .is_some_and(|other| value.equals_at(other, depth + 1))
                };
                x.len() == y.len() && x.iter().all(same)
            }
            _ => self.compare(other, depth) == Ordering::Equal,
        }
    }

    fn compare(&self, other: &Self, depth: usize) -> Ordering {
        if too_deep(depth) {
            return Ordering::Equal;
        }
        match (self, other) {
            (Self::Num(x), Self::Num(y)) => x.cmp(y),
            (Self::Str(x), Self::Str(y)) => x.cmp(y),
            (Self::Arr(x), Self::Arr(y)) => {
                let mut pairs = x.iter().zip(y.iter());
                let first = pairs.find_map(|(x, y)| different(x.compare(y, depth + 1)));
                first.unwrap_or_else(|| x.len().cmp(&y.len()))
            }
            (Self::Obj(x), Self::Obj(y)) => objects(x, y, depth),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

fn too_deep(depth: usize) -> bool {
    let too_deep = depth > DEEPEST;
    if too_deep {
        TOO_DEEP.set(true);
    }
    too_deep
}

fn different(order: Ordering) -> Option<Ordering> {
    Some(order).filter(|order| order.is_ne())
}

/// By their sorted keys first, then by the values in the order of the keys.
fn objects(x: &Map, y: &Map, depth: usize) -> Ordering {
    let (left, right) = (sorted(x), sorted(y));
    let keys = |entries: &[(&Text, &Val)]| -> Vec<Text> {
        entries.iter().map(|(key, _)| (*key).clone()).collect()
    };
    let mut values = left.iter().zip(&right);
    keys(&left).cmp(&keys(&right)).then_with(|| {
        let first = values.find_map(|((_, x), (_, y))| different(x.compare(y, depth + 1)));
        first.unwrap_or(Ordering::Equal)
    })
}

fn sorted(map: &Map) -> Vec<(&Text, &Val)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_by_key(|(key, _)| *key);
    entries
}

impl Ord for Val {
    fn cmp(&self, other: &Self) -> Ordering {
        self.compare(other, 0)
    }
}

impl PartialOrd for Val {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Val {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Val {}
