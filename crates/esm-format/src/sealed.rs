//! Small JSON objects that end with a checksum of themselves: markers, manifests, locks.
//!
//! The checksum is the last field, `crc32`: the CRC-32 (IEEE) of all bytes before the comma in
//! front of it. It is optional: earlier versions wrote none.

use esm_core::{Error, Result};

const NAME: &str = "crc32";
const DIGITS: usize = 8;

/// Adds the checksum to a JSON object that has at least one field, on one line or indented.
pub fn seal(mut json: Vec<u8>) -> Vec<u8> {
    let is_indented = json.ends_with(b"\n}");
    json.truncate(json.len().saturating_sub(if is_indented { 2 } else { 1 }));
    let sum = crc32fast::hash(&json);
    let field = if is_indented {
        format!(",\n  \"{NAME}\": \"{sum:08x}\"\n}}")
    } else {
        format!(",\"{NAME}\":\"{sum:08x}\"}}")
    };
    json.extend_from_slice(field.as_bytes());
    json
}

/// Checks the checksum of a JSON object; one without a checksum passes.
///
/// # Errors
/// `Corrupt` for a wrong checksum, and for one that is not the last field.
pub fn check(json: &[u8]) -> Result<()> {
    let wrong = || Error::corrupt("checksum is wrong");
    if let Some((covered, stated)) = split(json) {
        let sum = format!("{:08x}", crc32fast::hash(covered));
        return if sum.as_bytes() == stated {
            Ok(())
        } else {
            Err(wrong())
        };
    }
    // what is no JSON is reported by the decoder
    match serde_json::from_slice::<serde_json::Value>(json) {
        Ok(object) if object.get(NAME).is_some() => Err(wrong()),
        _ => Ok(()),
    }
}

/// The bytes that the checksum covers, and the checksum; nothing where the last field is another.
fn split(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = json.trim_ascii_end().strip_suffix(b"}")?;
    let rest = rest.trim_ascii_end().strip_suffix(b"\"")?;
    let (rest, stated) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
    let rest = rest.strip_suffix(b"\"")?.trim_ascii_end();
    let rest = rest.strip_suffix(b":")?.trim_ascii_end();
    let rest = rest.strip_suffix(b"\"crc32\"")?.trim_ascii_end();
    Some((rest.strip_suffix(b",")?, stated))
}

#[cfg(test)]
mod tests {
    use esm_core::ErrorKind;

    use super::*;

    const LINE: &[u8] = br#"{"name":"order/7","token":3}"#;
    const INDENTED: &[u8] = b"{\n  \"name\": \"order/7\",\n  \"token\": 3\n}";

    #[test]
    fn the_checksum_is_the_last_field_in_the_form_of_the_rest() {
        assert_eq!(
            String::from_utf8(seal(LINE.to_vec())).unwrap(),
            r#"{"name":"order/7","token":3,"crc32":"44525376"}"#
        );
        assert_eq!(
            String::from_utf8(seal(INDENTED.to_vec())).unwrap(),
            "{\n  \"name\": \"order/7\",\n  \"token\": 3,\n  \"crc32\": \"aad2b7a0\"\n}"
        );
    }

    #[test]
    fn an_object_without_a_checksum_passes() {
        let unsealed: [&[u8]; 5] = [LINE, INDENTED, b"{}", b"not JSON", b""];
        for unsealed in unsealed {
            check(unsealed).unwrap();
        }
        check(br#"{"tags":{"crc32":"00000000"},"a":1}"#).unwrap();
    }

    #[test]
    fn a_checksum_that_is_not_the_last_field_is_refused() {
        for moved in [
            r#"{"a":1,"crc32":"00000000","b":2}"#,
            r#"{"crc32":"00000000"}"#,
            r#"{"a":1,"crc32":"0"}"#,
        ] {
            let error = check(moved.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), &ErrorKind::Corrupt, "{moved}");
        }
    }

    #[test]
    fn whatever_bit_changes_is_noticed_or_leaves_the_content_as_it_was() {
        for original in [LINE, INDENTED] {
            let sealed = seal(original.to_vec());
            check(&sealed).unwrap();
            let value = |bytes: &[u8]| {
                let mut value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
                let object = value.as_object_mut()?;
                object.retain(|name, _| name == "name" || name == "token");
                Some(value)
            };
            for bit in 0..sealed.len() * 8 {
                let mut changed = sealed.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                let seen = check(&changed).is_err() || value(&changed).is_none();
                assert!(seen || value(&changed) == value(original), "bit {bit}");
            }
        }
    }
}
