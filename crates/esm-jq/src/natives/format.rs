//! Formats: `@csv` and the like.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};

use super::{Native, native};
use crate::budget::Budget;
use crate::fail::{Exit, Fail};
use crate::value::{Num, Text, Val, json, text_of};

/// How a value becomes a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Text,
    Json,
    Csv,
    Tsv,
    Html,
    Uri,
    UriDecoded,
    Shell,
    Base64,
    Base64Decoded,
    Base32,
    Base32Decoded,
}

pub(super) const ALL: &[Native] = &[
    native("@text", 0, |budget, input, _| {
        Ok(Val::Str(Format::Text.apply(input, budget)?))
    }),
    native("@json", 0, |budget, input, _| {
        Ok(Val::Str(Format::Json.apply(input, budget)?))
    }),
    native("@csv", 0, |budget, input, _| {
        Ok(Val::Str(Format::Csv.apply(input, budget)?))
    }),
    native("@tsv", 0, |budget, input, _| {
        Ok(Val::Str(Format::Tsv.apply(input, budget)?))
    }),
    native("@html", 0, |budget, input, _| {
        Ok(Val::Str(Format::Html.apply(input, budget)?))
    }),
    native("@uri", 0, |budget, input, _| {
        Ok(Val::Str(Format::Uri.apply(input, budget)?))
    }),
    native("@urid", 0, |budget, input, _| {
        Ok(Val::Str(Format::UriDecoded.apply(input, budget)?))
    }),
    native("@sh", 0, |budget, input, _| {
        Ok(Val::Str(Format::Shell.apply(input, budget)?))
    }),
    native("@base64", 0, |budget, input, _| {
        Ok(Val::Str(Format::Base64.apply(input, budget)?))
    }),
    native("@base64d", 0, |budget, input, _| {
        Ok(Val::Str(Format::Base64Decoded.apply(input, budget)?))
    }),
    native("@base32", 0, |budget, input, _| {
        Ok(Val::Str(Format::Base32.apply(input, budget)?))
    }),
    native("@base32d", 0, |budget, input, _| {
        Ok(Val::Str(Format::Base32Decoded.apply(input, budget)?))
    }),
    native("format", 1, |budget, input, arguments| {
        let format = match &arguments[0] {
            Val::Str(name) => Format::of(&format!("@{}", name.to_str())),
            other => return Err(Fail::one(other.clone(), "is not a valid format").into()),
        };
        match format {
            Some(format) => Ok(Val::Str(format.apply(input, budget)?)),
            None => {
                let name = text_of(arguments[0].clone(), budget)?;
                let message = format!("{} is not a valid format", name.to_str());
                Err(Fail::said(message, "a string is not a valid format").into())
            }
        }
    }),
];

impl Format {
    /// The format of a name such as `@csv`.
    pub(crate) fn of(name: &str) -> Option<Self> {
        Some(match name {
            "@text" => Self::Text,
            "@json" => Self::Json,
            "@csv" => Self::Csv,
            "@tsv" => Self::Tsv,
            "@html" => Self::Html,
            "@uri" => Self::Uri,
            "@urid" => Self::UriDecoded,
            "@sh" => Self::Shell,
            "@base64" => Self::Base64,
            "@base64d" => Self::Base64Decoded,
            "@base32" => Self::Base32,
            "@base32d" => Self::Base32Decoded,
            _ => return None,
        })
    }

    pub(crate) fn apply(self, value: Val, budget: &Budget) -> Result<Text, Exit> {
        let bytes = match self {
            Self::Text => return text_of(value, budget),
            Self::Json => json(&value, budget)?,
            Self::Csv => row(
                value,
                ",",
                csv_text,
                "cannot be csv-formatted, only array",
                budget,
            )?,
            Self::Tsv => row(
                value,
                "\t",
                tsv_text,
                "cannot be tsv-formatted, only array",
                budget,
            )?,
            Self::Html => escape(&text_of(value, budget)?, html),
            Self::Uri => text_of(value, budget)?
                .iter()
                .flat_map(|byte| uri(*byte))
                .collect(),
            Self::UriDecoded => return Ok(uri_decoded(text_of(value, budget)?)?),
            Self::Shell => shell(value, budget)?,
            Self::Base64 => STANDARD.encode(&text_of(value, budget)?[..]).into_bytes(),
            Self::Base64Decoded => return Ok(base64_decoded(text_of(value, budget)?)?),
            Self::Base32 => base32(&text_of(value, budget)?),
            Self::Base32Decoded => return Ok(base32_decoded(text_of(value, budget)?)?),
        };
        Ok(bytes.into())
    }
}

fn row(
    value: Val,
    separator: &str,
    text: fn(&[u8]) -> Vec<u8>,
    what: &'static str,
    budget: &Budget,
) -> Result<Vec<u8>, Exit> {
    let Val::Arr(fields) = &value else {
        return Err(Fail::one(value, what).into());
    };
    let mut row = Vec::new();
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            row.extend_from_slice(separator.as_bytes());
        }
        match field {
            Val::Null => {}
            Val::Bool(_) => row.extend_from_slice(&json(field, budget)?),
            Val::Num(num) if num.is_nan() => {}
            Val::Num(Num::Dec(_) | Num::Int(_) | Num::Big(_) | Num::Float(_)) => {
                row.extend_from_slice(&json(field, budget)?);
            }
            Val::Str(field) => row.extend_from_slice(&text(field)),
            other => return Err(Fail::one(other.clone(), "is not valid in a csv row").into()),
        }
    }
    Ok(row)
}

fn csv_text(text: &[u8]) -> Vec<u8> {
    let escaped = escape(text, |byte| (byte == b'"').then_some("\"\""));
    [b"\"", &escaped[..], b"\""].concat()
}

fn tsv_text(text: &[u8]) -> Vec<u8> {
    escape(text, |byte| {
        Some(match byte {
            b'\t' => "\\t",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\\' => "\\\\",
            _ => return None,
        })
    })
}

fn html(byte: u8) -> Option<&'static str> {
    Some(match byte {
        b'<' => "&lt;",
        b'>' => "&gt;",
        b'&' => "&amp;",
        b'\'' => "&apos;",
        b'"' => "&quot;",
        _ => return None,
    })
}

fn escape(text: &[u8], by: impl Fn(u8) -> Option<&'static str>) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for byte in text {
        match by(*byte) {
            Some(escape) => escaped.extend_from_slice(escape.as_bytes()),
            None => escaped.push(*byte),
        }
    }
    escaped
}

fn uri(byte: u8) -> Vec<u8> {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        vec![byte]
    } else {
        format!("%{byte:02X}").into_bytes()
    }
}

fn uri_decoded(text: Text) -> Result<Text, Fail> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        if text[at] != b'%' {
            decoded.push(text[at]);
            at += 1;
            continue;
        }
        let digits = text.get(at + 1..at + 3);
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => decoded.push(byte),
            None => return Err(Fail::one(Val::Str(text), "is not a valid uri encoding")),
        }
        at += 3;
    }
    Ok(as_unicode(decoded))
}

/// U+FFFD in the place of what is no UTF-8.
fn as_unicode(bytes: Vec<u8>) -> Text {
    match String::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(error) => replaced(error.as_bytes()).into(),
    }
}

/// Text of bytes of which some are no UTF-8. As in jq, one U+FFFD is in the place of a first byte and
/// of all bytes that continue it, and of what is missing at the end with all that is left.
fn replaced(mut bytes: &[u8]) -> String {
    let mut text = String::new();
    while let Some(first) = bytes.first() {
        let wanted = match first {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        let (length, character) = match bytes.get(1..wanted) {
            None => (bytes.len(), None),
            Some(others) => {
                let continues = others.iter().take_while(|byte| **byte & 0xc0 == 0x80);
                let length = 1 + continues.count();
                (length, std::str::from_utf8(&bytes[..length]).ok())
            }
        };
        text.push_str(character.unwrap_or("\u{fffd}"));
        bytes = &bytes[length..];
    }
    text
}

fn shell(value: Val, budget: &Budget) -> Result<Vec<u8>, Exit> {
    let words = match &value {
        Val::Arr(words) => &words[..],
        one => std::slice::from_ref(one),
    };
    let mut line = Vec::new();
    for (at, word) in words.iter().enumerate() {
        if at > 0 {
            line.push(b' ');
        }
        match word {
            Val::Arr(_) | Val::Obj(_) => {
                return Err(Fail::one(word.clone(), "can not be escaped for shell").into());
            }
            Val::Str(text) => {
                let escaped = escape(text, |byte| (byte == b'\'').then_some("'\\''"));
                line.extend_from_slice(&[b"'", &escaped[..], b"'"].concat());
            }
            other => line.extend_from_slice(&json(other, budget)?),
        }
    }
    Ok(line)
}

/// Padding may be missing, and bits that are left over are ignored.
fn base64_decoded(text: Text) -> Result<Text, Fail> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let end = text
        .iter()
        .rposition(|byte| *byte != b'=')
        .map_or(0, |at| at + 1);
    match GeneralPurpose::new(&ALPHABET, config).decode(&text[..end]) {
        Ok(bytes) => Ok(as_unicode(bytes)),
        Err(_) => Err(Fail::one(Val::Str(text), "is not valid base64 data")),
    }
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

fn base32(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for chunk in bytes.chunks(5) {
        let mut block = [0; 8];
        block[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(block);
        let digits = (chunk.len() * 8).div_ceil(5);
        for digit in 0..8 {
            let value = bits >> (35 - 5 * digit) & 31;
            text.push(if digit < digits {
                BASE32[value as usize]
            } else {
                b'='
            });
        }
    }
    text
}

fn base32_decoded(text: Text) -> Result<Text, Fail> {
    let end = text
        .iter()
        .rposition(|byte| *byte != b'=')
        .map_or(0, |at| at + 1);
    let (mut bits, mut count) = (0_u32, 0);
    let mut bytes = Vec::new();
    for byte in &text[..end] {
        let Some(digit) = BASE32.iter().position(|known| known == byte) else {
            return Err(Fail::one(Val::Str(text), "is not valid base32 data"));
        };
        bits = bits << 5 | digit as u32;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Ok(as_unicode(bytes))
}
