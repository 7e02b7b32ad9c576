//! Writing JSON.

use jaq_json::Val;

use super::{MAX_DEPTH, kind, number};

/// What is written at most, in bytes. A small value that occurs many times in another, and that in
/// a third, becomes a long text.
const MAX_BYTES: usize = 64 << 20;

/// Why a value was not written: what is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    what: String,
    /// Innermost first.
    path: Vec<String>,
}

impl Fault {
    fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            path: Vec::new(),
        }
    }

    fn inside(mut self, step: impl FnOnce() -> String) -> Self {
        self.path.push(step());
        self
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)?;
        if !self.path.is_empty() {
            f.write_str(", at .")?;
            self.path
                .iter()
                .rev()
                .try_for_each(|step| f.write_str(step))?;
        }
        Ok(())
    }
}

/// Writes a value as compact JSON: keys in their order, numbers digit by digit.
///
/// # Errors
/// What JSON has no words for: NaN and infinities, byte strings, keys that are no strings, text
/// that is no Unicode, nesting deeper than [`MAX_DEPTH`], and more than [`MAX_BYTES`].
pub(crate) fn write(value: &Val, out: &mut Vec<u8>) -> Result<(), Fault> {
    write_at(value, out, 0)
}

fn write_at(value: &Val, out: &mut Vec<u8>, depth: usize) -> Result<(), Fault> {
    if out.len() > MAX_BYTES {
        return Err(Fault::new(format!(
            "it is larger than {} MiB",
            MAX_BYTES >> 20
        )));
    }
    match value {
        Val::Null => out.extend_from_slice(b"null"),
        Val::Bool(true) => out.extend_from_slice(b"true"),
        Val::Bool(false) => out.extend_from_slice(b"false"),
        Val::Num(num) => match number::json(num) {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => return Err(Fault::new(format!("JSON has no number {num}"))),
        },
        Val::TStr(text) => string(text, out)?,
        Val::BStr(_) => return Err(Fault::new("JSON has no byte strings")),
        Val::Arr(_) | Val::Obj(_) if depth == MAX_DEPTH => {
            return Err(Fault::new(format!(
                "it is nested deeper than {MAX_DEPTH} levels"
            )));
        }
        Val::Arr(array) => {
            out.push(b'[');
            for (at, value) in array.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_at(value, out, depth + 1).map_err(|e| e.inside(|| format!("[{at}]")))?;
            }
            out.push(b']');
        }
        Val::Obj(map) => {
            out.push(b'{');
            for (at, (key, value)) in map.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_key(key, out)?;
                out.push(b':');
                write_at(value, out, depth + 1).map_err(|e| e.inside(|| format!("[{key}]")))?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn write_key(key: &Val, out: &mut Vec<u8>) -> Result<(), Fault> {
    match key {
        Val::TStr(text) => string(text, out),
        _ => Err(Fault::new(format!(
            "a key of an object is {} instead of a string: {key}",
            kind(key)
        ))),
    }
}

fn string(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    out.push(b'"');
    let mut rest = text;
    loop {
        match std::str::from_utf8(rest) {
            Ok(valid) => {
                escape(valid.as_bytes(), out);
                break;
            }
            Err(e) => {
                let (valid, after) = rest.split_at(e.valid_up_to());
                escape(valid, out);
                rest = surrogate(after, out)
                    .ok_or_else(|| Fault::new("a string is no valid Unicode".to_owned()))?;
            }
        }
    }
    out.push(b'"');
    Ok(())
}

/// Writes the surrogate that these bytes begin with (see [`read`](super::read)) as an escape.
fn surrogate<'a>(bytes: &'a [u8], out: &mut Vec<u8>) -> Option<&'a [u8]> {
    let [0xED, second @ 0xA0..=0xBF, third @ 0x80..=0xBF, rest @ ..] = bytes else {
        return None;
    };
    let unit = 0xD000 | (u16::from(*second & 0x3F) << 6) | u16::from(*third & 0x3F);
    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
    Some(rest)
}

fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut start = 0;
    for (at, byte) in text.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x08 => b"\\b",
            0x0C => b"\\f",
            0..0x20 => b"",
            _ => continue,
        };
        out.extend_from_slice(&text[start..at]);
        match escape {
            b"" => out.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            escape => out.extend_from_slice(escape),
        }
        start = at + 1;
    }
    out.extend_from_slice(&text[start..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use jaq_json::{Map, Rc};

    fn written(value: &Val) -> Result<String, String> {
        let mut out = Vec::new();
        write(value, &mut out).map_err(|e| e.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn what_was_read_is_written_as_it_was() {
        for text in [
            r#"{"z":1,"a":[true,false,null,{}],"é\u0001\"\\":"😀"}"#,
            "[12345678901234567890,-0,1.10,1e400,1E-7,0.0,-12]",
            r#""\ud800x\udfff""#,
            "[]",
        ] {
            let value = super::super::read(&Bytes::from_static(text.as_bytes())).unwrap();
            assert_eq!(written(&value).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_json_has_no_words_for_is_refused_with_its_place() {
        let object = |value: Val| {
            let mut map = Map::default();
            map.insert(Val::utf8_str("a"), [Val::Null, value].into_iter().collect());
            Val::obj(map)
        };
        for (value, message) in [
            (
                Val::from(f64::NAN),
                "JSON has no number NaN, at .[\"a\"][1]",
            ),
            (
                Val::byte_str("x"),
                "JSON has no byte strings, at .[\"a\"][1]",
            ),
            (
                Val::utf8_str(&b"\xff"[..]),
                "a string is no valid Unicode, at .[\"a\"][1]",
            ),
        ] {
            assert_eq!(written(&object(value)), Err(message.to_owned()));
        }
        let mut map = Map::default();
        map.insert(Val::from(1_isize), Val::Null);
        assert!(written(&Val::obj(map)).is_err_and(|e| e.contains("a number instead of a string")));
        let deep = (0..MAX_DEPTH + 1).fold(Val::Null, |v, _| Val::Arr(Rc::new(vec![v])));
        assert!(written(&deep).is_err_and(|e| e.contains("deeper than 128")));
    }
}
