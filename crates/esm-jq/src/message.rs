//! Messages of failures, without the values that they are about.

use serde_json::value::RawValue;

/// The beginnings of the engine's messages that continue with a value.
const WITH_VALUE: [&str; 6] = [
    "cannot use ",
    "cannot calculate ",
    "cannot index ",
    "cannot convert ",
    "cannot parse ",
    "invalid path expression with input ",
];

/// Returns a message of the engine with the kinds of values instead of the values: messages are kept
/// in journals, and those contain no data. Names of fields stay. A message that a program makes with
/// `error` is not changed.
pub(crate) fn without_values(message: String) -> String {
    let mut prefixes = WITH_VALUE.iter();
    let Some(prefix) = prefixes.find(|prefix| message.starts_with(**prefix)) else {
        return message;
    };
    let Some((kind, rest)) = take_value(&message[prefix.len()..]) else {
        return format!("{prefix}a value");
    };
    let rest = if *prefix == "cannot calculate " {
        without_operand(rest)
    } else {
        rest.to_owned()
    };
    format!("{prefix}{kind}{rest}")
}

/// ` + 12` as ` + a number`.
fn without_operand(text: &str) -> String {
    let operand = text.trim_start().split_once(' ');
    operand.map_or_else(String::new, |(operator, right)| {
        let kind = take_value(right).map_or("a value", |(kind, _)| kind);
        format!(" {operator} {kind}")
    })
}

/// The kind of the value at the beginning of a text, and the text behind it.
fn take_value(text: &str) -> Option<(&'static str, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    values.next()?.ok()?;
    let rest = text.get(values.byte_offset()..)?;
    let kind = match text.as_bytes().first()? {
        b'"' => "a string",
        b'{' => "an object",
        b'[' => "an array",
        b't' | b'f' => "a boolean",
        b'n' => "null",
        _ => "a number",
    };
    Some((kind, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_named_by_their_kind() {
        for (message, expected) in [
            (
                r#"cannot use "a \" secret" as iterable (array or object)"#,
                "cannot use a string as iterable (array or object)",
            ),
            (
                r#"cannot index {"a":[1,2]} with "name""#,
                r#"cannot index an object with "name""#,
            ),
            (
                r#"cannot calculate 12 + "secret""#,
                "cannot calculate a number + a string",
            ),
            (
                "cannot calculate null - NaN",
                "cannot calculate null - a value",
            ),
            ("cannot use NaN as string", "cannot use a value"),
            ("unpaid: 12", "unpaid: 12"),
        ] {
            assert_eq!(without_values(message.to_owned()), expected);
        }
    }
}
