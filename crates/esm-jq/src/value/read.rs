//! Reading JSON.
//!
//! Strict, and bounded in its recursion.

use std::sync::Arc;

use super::text::surrogate_bytes;
use super::{MAX_DEPTH, Map, Num, Text, Val};

/// Integers of more digits are kept as decimals: converting takes the square of their length.
const MAX_INTEGER_DIGITS: usize = 4096;

/// Why bytes were not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// They are no JSON, from this byte on.
    NotJson(usize),
    /// They are nested more deeply than [`MAX_DEPTH`].
    TooDeep,
}

/// Reads exactly one JSON value (RFC 8259).
///
/// Every number keeps its digits. Of equal keys in one object the last one counts. An unpaired
/// surrogate (`"\ud800"`) is kept as three bytes that are no UTF-8, and written back as it was.
pub(crate) fn read(bytes: &[u8]) -> Result<Val, Fault> {
    if let Err(e) = std::str::from_utf8(bytes) {
        return Err(Fault::NotJson(e.valid_up_to()));
    }
    let mut reader = Reader { bytes, at: 0 };
    reader.space();
    let value = reader.value(0)?;
    reader.space();
    if reader.at == bytes.len() {
        Ok(value)
    } else {
        Err(reader.fault())
    }
}

struct Reader<'a> {
    /// Valid UTF-8.
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn fault(&self) -> Fault {
        Fault::NotJson(self.at)
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.eat(byte) {
            Ok(())
        } else {
            Err(self.fault())
        }
    }

    fn word(&mut self, word: &str, value: Val) -> Result<Val, Fault> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(self.fault());
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self, depth: usize) -> Result<Val, Fault> {
        match self.peek() {
            Some(b'{') => self.object(deeper(depth)?),
            Some(b'[') => self.array(deeper(depth)?),
            Some(b'"') => self.string().map(Val::Str),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Val::Bool(true)),
            Some(b'f') => self.word("false", Val::Bool(false)),
            Some(b'n') => self.word("null", Val::Null),
            _ => Err(self.fault()),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Val, Fault> {
        self.at += 1;
        let mut map = Map::default();
        self.space();
        if !self.eat(b'}') {
            map.reserve(8);
            loop {
                self.space();
                if self.peek() != Some(b'"') {
                    return Err(self.fault());
                }
                let key = self.string()?;
                self.space();
                self.expect(b':')?;
                self.space();
                let value = self.value(depth)?;
                map.insert(key, value);
                self.space();
                if !self.eat(b',') {
                    break;
                }
            }
            self.expect(b'}')?;
        }
        Ok(Val::obj(map))
    }

    fn array(&mut self, depth: usize) -> Result<Val, Fault> {
        self.at += 1;
        let mut array = Vec::new();
        self.space();
        if !self.eat(b']') {
            loop {
                self.space();
                array.push(self.value(depth)?);
                self.space();
                if !self.eat(b',') {
                    break;
                }
            }
            self.expect(b']')?;
        }
        Ok(array.into())
    }

    fn string(&mut self) -> Result<Text, Fault> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let text = self.bytes[start..self.at].to_vec();
                    self.at += 1;
                    return Ok(text.into());
                }
                Some(b'\\') => return self.escaped(start),
                Some(0x20..) => self.at += 1,
                _ => return Err(self.fault()),
            }
        }
    }

    /// The string from `start` on, the first escape of which is here.
    fn escaped(&mut self, start: usize) -> Result<Text, Fault> {
        let mut text = self.bytes[start..self.at].to_vec();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text.into());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape(&mut text)?;
                }
                Some(byte @ 0x20..) => {
                    text.push(byte);
                    self.at += 1;
                }
                _ => return Err(self.fault()),
            }
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Result<(), Fault> {
        let byte = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte,
            Some(b'b') => 0x08,
            Some(b'f') => 0x0C,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'u') => {
                self.at += 1;
                return self.unicode(text);
            }
            _ => return Err(self.fault()),
        };
        text.push(byte);
        self.at += 1;
        Ok(())
    }

    fn unicode(&mut self, text: &mut Vec<u8>) -> Result<(), Fault> {
        let unit = self.hex()?;
        let code = match unit {
            0xD800..=0xDBFF => self.low_surrogate()?.map_or(u32::from(unit), |low| {
                0x10000 + ((u32::from(unit) - 0xD800) << 10) + (u32::from(low) - 0xDC00)
            }),
            _ => u32::from(unit),
        };
        match char::from_u32(code) {
            Some(c) => text.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            None => text.extend_from_slice(&surrogate_bytes(unit)),
        }
        Ok(())
    }

    /// The low half of a surrogate pair, if its escape comes next.
    fn low_surrogate(&mut self) -> Result<Option<u16>, Fault> {
        let start = self.at;
        if self.eat(b'\\') && self.eat(b'u') {
            let unit = self.hex()?;
            if (0xDC00..=0xDFFF).contains(&unit) {
                return Ok(Some(unit));
            }
        }
        self.at = start;
        Ok(None)
    }

    fn hex(&mut self) -> Result<u16, Fault> {
        let digits = self.bytes.get(self.at..self.at + 4).ok_or(self.fault())?;
        let mut unit = 0;
        for digit in digits {
            let digit = char::from(*digit).to_digit(16).ok_or(self.fault())?;
            unit = unit * 16 + digit as u16;
        }
        self.at += 4;
        Ok(unit)
    }

    fn digits(&mut self) -> Result<usize, Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        match self.at - start {
            0 => Err(self.fault()),
            count => Ok(count),
        }
    }

    fn number(&mut self) -> Result<Val, Fault> {
        let start = self.at;
        let negative = self.eat(b'-');
        let leading_zero = self.peek() == Some(b'0');
        let digits = self.digits()?;
        if leading_zero && digits > 1 {
            return Err(self.fault());
        }
        let mut integer = true;
        if self.eat(b'.') {
            integer = false;
            self.digits()?;
        }
        if self.eat(b'e') || self.eat(b'E') {
            integer = false;
            let _ = self.eat(b'+') || self.eat(b'-');
            self.digits()?;
        }
        let text = &self.bytes[start..self.at];
        // "-0" is kept as it is: as an integer it would lose its sign.
        if integer && !(negative && leading_zero) && digits <= MAX_INTEGER_DIGITS {
            return Ok(Val::Num(parse_integer(text)));
        }
        Ok(Val::Num(decimal(text)))
    }
}

fn deeper(depth: usize) -> Result<usize, Fault> {
    if depth < MAX_DEPTH {
        Ok(depth + 1)
    } else {
        Err(Fault::TooDeep)
    }
}

fn parse_integer(text: &[u8]) -> Num {
    if text.len() <= 18 {
        let (negative, digits) = match text {
            [b'-', digits @ ..] => (true, digits),
            digits => (false, digits),
        };
        let value = digits
            .iter()
            .fold(0_i64, |value, d| value * 10 + i64::from(d - b'0'));
        return Num::Int(if negative { -value } else { value });
    }
    num_bigint::BigInt::parse_bytes(text, 10).map_or_else(|| decimal(text), Num::of_big)
}

fn decimal(text: &[u8]) -> Num {
    Num::Dec(Arc::new(String::from_utf8_lossy(text).into_owned()))
}

/// Reads a number of a program, or of a text that is one: also `.5`, `5.`, `007` and `+1`.
pub(crate) fn number(text: &str) -> Option<Num> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sign = if text.starts_with('-') { "-" } else { "" };
    let end = unsigned.find(['e', 'E']).unwrap_or(unsigned.len());
    let (mantissa, exponent) = unsigned.split_at(end);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let part = |c: char| c.is_ascii_digit() || "eE.+-".contains(c);
    if (whole.is_empty() && fraction.is_empty()) || !unsigned.chars().all(part) {
        return None;
    }
    let zeros = whole.len() - whole.trim_start_matches('0').len();
    let whole = match &whole[zeros..] {
        "" => "0",
        digits => digits,
    };
    let point = if fraction.is_empty() { "" } else { "." };
    match read(format!("{sign}{whole}{point}{fraction}{exponent}").as_bytes()) {
        Ok(Val::Num(num)) => Some(num),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<Val, Fault> {
        read(text.as_bytes())
    }

    #[test]
    fn what_is_no_json_is_refused_with_its_byte() {
        for (text, at) in [
            ("", 0),
            ("nul", 0),
            ("01", 2),
            ("-", 1),
            ("1.", 2),
            ("1e", 2),
            ("+1", 0),
            ("NaN", 0),
            ("# comment\n1", 0),
            ("1 2", 2),
            ("[1,]", 3),
            (r#"{"a":1,}"#, 7),
            ("{1:2}", 1),
            (r#"b"x""#, 0),
            (r#""a"#, 2),
            ("\"a\nb\"", 2),
            (r#""\x41""#, 2),
            (r#""\u12g4""#, 3),
            (r#"{"a" 1}"#, 5),
        ] {
            assert_eq!(check(text).err(), Some(Fault::NotJson(at)), "{text}");
        }
        assert_eq!(read(b"\"\xff\"").err(), Some(Fault::NotJson(1)));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(check(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(check(&nested(MAX_DEPTH + 1)).err(), Some(Fault::TooDeep));
        assert_eq!(check(&"[".repeat(1_000_000)).err(), Some(Fault::TooDeep));
    }

    #[test]
    fn strings_are_unescaped() {
        let text = |json: &str| match check(json) {
            Ok(Val::Str(text)) => text.to_vec(),
            other => panic!("{other:?}"),
        };
        assert_eq!(text(r#""a\"\\\/\b\f\n\r\t""#), b"a\"\\/\x08\x0c\n\r\t");
        assert_eq!(text(r#""\u00e9\ud83d\uDE00é""#), "é😀é".as_bytes());
        assert_eq!(text(r#""\ud800\u0041""#), b"\xED\xA0\x80A");
        assert_eq!(text(r#""\udc00""#), b"\xED\xB0\x80");
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        let Ok(Val::Obj(map)) = check(r#"{"a":1,"b":2,"a":3}"#) else {
            panic!("an object");
        };
        assert_eq!(map.len(), 2);
        assert_eq!(map.get(&b"a"[..]), Some(&Val::int(3)));
    }
}
