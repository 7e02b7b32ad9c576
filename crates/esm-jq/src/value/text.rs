//! Texts: UTF-8 that may have unpaired surrogates in it.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A text. Its bytes are UTF-8, except that an unpaired surrogate has the three bytes that UTF-8
/// would give it, were it allowed to (WTF-8).
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Text(Arc<Vec<u8>>);

impl Text {
    /// The text as Rust knows it; `None` if it has an unpaired surrogate.
    pub(crate) fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }

    /// The text with U+FFFD for unpaired surrogates, which takes as many bytes.
    pub(crate) fn to_str(&self) -> std::borrow::Cow<'_, str> {
        match self.as_str() {
            Some(text) => text.into(),
            None => {
                let mut text = String::with_capacity(self.len());
                text.extend(self.points().map(scalar));
                text.into()
            }
        }
    }

    /// The code points, surrogates among them.
    pub(crate) fn points(&self) -> impl Iterator<Item = u32> + '_ {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            let (point, length) = first_point(rest)?;
            rest = &rest[length..];
            Some(point)
        })
    }

    /// Number of code points.
    pub(crate) fn count(&self) -> usize {
        self.0.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
    }

    /// The byte at which the code point of this index begins.
    pub(crate) fn byte_of(&self, index: usize) -> usize {
        let mut starts = (0..self.len()).filter(|at| self.0[*at] & 0xC0 != 0x80);
        starts.nth(index).unwrap_or(self.len())
    }

    /// The bytes, to append to.
    pub(crate) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        Arc::make_mut(&mut self.0)
    }

    pub(crate) fn from_points(points: impl Iterator<Item = u32>) -> Self {
        let mut bytes = Vec::new();
        points.for_each(|point| push_point(point, &mut bytes));
        bytes.into()
    }
}

fn scalar(point: u32) -> char {
    char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The code point that bytes begin with, and how many bytes it takes.
fn first_point(bytes: &[u8]) -> Option<(u32, usize)> {
    let first = u32::from(*bytes.first()?);
    let (length, bits) = match first {
        0..0x80 => return Some((first, 1)),
        0x80..0xE0 => (2, first & 0x1F),
        0xE0..0xF0 => (3, first & 0x0F),
        _ => (4, first & 0x07),
    };
    let rest = bytes.iter().take(length).skip(1);
    let point = rest.fold(bits, |point, byte| point << 6 | u32::from(byte & 0x3F));
    Some((point, length.min(bytes.len())))
}

fn push_point(point: u32, bytes: &mut Vec<u8>) {
    match char::from_u32(point) {
        Some(c) => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        None => bytes.extend_from_slice(&surrogate_bytes(point as u16)),
    }
}

/// A surrogate in the three bytes that UTF-8 would give it, were it allowed to (WTF-8).
pub(super) fn surrogate_bytes(unit: u16) -> [u8; 3] {
    let [high, low] = unit.to_be_bytes();
    [
        0xE0 | (high >> 4),
        0x80 | ((high & 0x0F) << 2) | (low >> 6),
        0x80 | (low & 0x3F),
    ]
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Arc::new(bytes))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        text.into_bytes().into()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        text.as_bytes().to_vec().into()
    }
}

impl std::borrow::Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.to_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unpaired_surrogate_is_one_point() {
        let mut bytes = b"a".to_vec();
        bytes.extend_from_slice(&surrogate_bytes(0xD800));
        bytes.extend_from_slice("é😀".as_bytes());
        let text = Text::from(bytes);
        let points = [0x61, 0xD800, 0xE9, 0x1F600];
        assert_eq!(text.points().collect::<Vec<_>>(), points);
        assert_eq!(text.count(), 4);
        assert_eq!(
            (text.byte_of(1), text.byte_of(2), text.byte_of(9)),
            (1, 4, 10)
        );
        assert_eq!(Text::from_points(points.into_iter()), text);
        assert_eq!(text.as_str(), None);
        assert_eq!(text.to_str(), "a\u{fffd}é😀");
    }
}
