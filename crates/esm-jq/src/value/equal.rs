//! Equality as JSON.

use std::sync::Arc;

use super::{Val, number};

/// Whether two values are equal as JSON: numbers exactly, objects whatever the order of their keys.
///
/// What the program did not touch is shared, not copied, and costs one comparison of pointers.
pub(crate) fn same(a: &Val, b: &Val) -> bool {
    match (a, b) {
        (Val::Null, Val::Null) => true,
        (Val::Bool(x), Val::Bool(y)) => x == y,
        (Val::Num(x), Val::Num(y)) => number::same(x, y),
        (Val::Str(x), Val::Str(y)) => x == y,
        (Val::Arr(x), Val::Arr(y)) => {
            Arc::ptr_eq(x, y)
                || (x.len() == y.len() && x.iter().zip(y.iter()).all(|(a, b)| same(a, b)))
        }
        (Val::Obj(x), Val::Obj(y)) => {
            Arc::ptr_eq(x, y)
                || (x.len() == y.len()
                    && x.iter().enumerate().all(|(at, (key, value))| {
                        // Most keys have kept their index; then no hash is needed.
                        let found = match y.get_index(at) {
                            Some((k, v)) if k == key => Some(v),
                            _ => y.get(key),
                        };
                        found.is_some_and(|found| same(value, found))
                    }))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &'static str) -> Val {
        super::super::read(text.as_bytes()).unwrap()
    }

    #[test]
    fn values_are_compared_as_json() {
        for (a, b, equal) in [
            (r#"{"a":1,"b":[1.0]}"#, r#"{"b":[1],"a":1e0}"#, true),
            (r#"{"a":1,"b":2}"#, r#"{"a":1,"c":2}"#, false),
            (r#"{"a":null}"#, r#"{}"#, false),
            ("[1,2]", "[2,1]", false),
            (r#""\u0061""#, r#""a""#, true),
            ("9007199254740993", "9007199254740992.0", false),
            ("null", "false", false),
        ] {
            assert_eq!(same(&json(a), &json(b)), equal, "{a} {b}");
        }
    }
}
