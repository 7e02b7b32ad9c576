//! Writing JSON.

use super::{MAX_DEPTH, Text, Val};

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
/// What JSON has no words for: NaN and infinities. Nesting deeper than [`MAX_DEPTH`], and more than
/// [`MAX_BYTES`].
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
        Val::Num(num) => match num.json() {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => return Err(Fault::new(format!("JSON has no number {}", num.as_f64()))),
        },
        Val::Str(text) => string(text, out),
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
                string(key, out);
                out.push(b':');
                write_at(value, out, depth + 1).map_err(|e| e.inside(|| format!("[{key:?}]")))?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

pub(super) fn string(text: &Text, out: &mut Vec<u8>) {
    out.push(b'"');
    match text.as_str() {
        Some(text) => escape(text.as_bytes(), out),
        None => text.points().for_each(|point| match char::from_u32(point) {
            Some(c) => escape(c.encode_utf8(&mut [0; 4]).as_bytes(), out),
            None => out.extend_from_slice(format!("\\u{point:04x}").as_bytes()),
        }),
    }
    out.push(b'"');
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
            let value = super::super::read(text.as_bytes()).unwrap();
            assert_eq!(written(&value).as_deref(), Ok(text));
        }
    }

    #[test]
    fn what_json_has_no_words_for_is_refused_with_its_place() {
        for (value, name) in [
            (f64::NAN, "NaN"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            let mut map = super::super::Map::default();
            map.insert("a".into(), vec![Val::Null, Val::float(value)].into());
            assert_eq!(
                written(&Val::obj(map)),
                Err(format!("JSON has no number {name}, at .[\"a\"][1]"))
            );
        }
        let deep = (0..MAX_DEPTH + 1).fold(Val::Null, |v, _| vec![v].into());
        assert!(written(&deep).is_err_and(|e| e.contains("deeper than 128")));
    }
}
