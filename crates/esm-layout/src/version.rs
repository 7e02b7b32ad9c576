//! Schema versions that are kept as text.

/// Returns the schema version that a text says: a number, with `v` before it or further numbers
/// behind it (`2`, `v2`, `2.0`, `2.1`). `None` for any other text.
pub fn schema_version(text: &str) -> Option<u32> {
    let text = text.trim();
    let numbers = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (major, rest) = match numbers.split_once('.') {
        Some((major, rest)) => (major, Some(rest)),
        None => (numbers, None),
    };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let rest_is_numbers = rest.is_none_or(|rest| rest.split('.').all(is_number));
    if is_number(major) && rest_is_numbers {
        major.parse().ok()
    } else {
        None
    }
}

/// Returns whether the number says all that the text does: `2`, `2.0`, but not `2.1` or `v2`.
pub fn is_plain_version(text: &str) -> bool {
    let Some((major, rest)) = text.split_once('.') else {
        return schema_version(text).is_some_and(|number| number.to_string() == text);
    };
    is_plain_version(major) && rest.split('.').all(|part| part == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_its_first_number() {
        for (text, number, plain) in [
            ("1", Some(1), true),
            ("2.0", Some(2), true),
            ("2.0.0", Some(2), true),
            ("2.1", Some(2), false),
            ("v3", Some(3), false),
            ("01", Some(1), false),
            ("", None, false),
            ("1.", None, false),
            ("1.x", None, false),
            ("latest", None, false),
            ("99999999999", None, false),
        ] {
            assert_eq!(schema_version(text), number, "{text}");
            assert_eq!(is_plain_version(text), plain, "{text}");
        }
    }
}
