//! Values as JSON for people and programs to see, whole or cut.

use super::{DEEPEST, Text, Val};

/// What of a value is shown in a message, in bytes.
const SHOWN: usize = 29;

/// The value as JSON, for a message of the program's own.
pub(crate) fn message(value: &Val) -> String {
    const LONGEST: usize = 1000;
    let mut out = Vec::new();
    show(value, &mut out, LONGEST, 0);
    String::from_utf8_lossy(&out).into_owned()
}

/// The value as JSON, cut after some bytes.
pub(crate) fn shown(value: &Val) -> String {
    let mut out = Vec::new();
    show(value, &mut out, 4 * SHOWN, 0);
    let text = String::from_utf8_lossy(&out);
    if text.len() <= SHOWN {
        return text.into_owned();
    }
    let end = match value {
        Val::Str(_) => "...\"",
        Val::Arr(_) => "...]",
        Val::Obj(_) => "...}",
        _ => "...",
    };
    let mut cut = SHOWN - end.len();
    while !text.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}{end}", &text[..cut])
}

/// Writes a value as JSON, and no more once `most` bytes are there.
pub(super) fn show(value: &Val, out: &mut Vec<u8>, most: usize, depth: usize) {
    if out.len() > most {
        return;
    }
    if depth > DEEPEST {
        return out.extend_from_slice(b"<skipped: too deep>");
    }
    match value {
        Val::Null => out.extend_from_slice(b"null"),
        Val::Bool(true) => out.extend_from_slice(b"true"),
        Val::Bool(false) => out.extend_from_slice(b"false"),
        Val::Num(num) => out.extend_from_slice(num.shown().as_bytes()),
        Val::Str(text) => string(text, out),
        Val::Arr(array) => {
            out.push(b'[');
            for (at, value) in array.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                show(value, out, most, depth + 1);
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
                show(value, out, most, depth + 1);
            }
            out.push(b'}');
        }
    }
}

fn string(text: &Text, out: &mut Vec<u8>) {
    super::write::string(text, out);
}
