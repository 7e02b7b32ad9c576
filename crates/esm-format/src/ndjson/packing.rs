//! How a file of lines is compressed.

use std::path::Path;

/// How a file of lines is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Packing {
    /// Not at all.
    #[default]
    Plain,
    /// gzip, of one or more members.
    Gzip,
    /// zstd, of one or more frames.
    Zstd,
}

impl Packing {
    /// How many of a file's first bytes [`detect`](Self::detect) reads.
    pub(super) const MAGIC_BYTES: usize = 4;

    /// How a file is compressed that begins with these bytes.
    pub fn detect(begin: &[u8]) -> Self {
        match begin {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            // a skippable frame, which some packers put first
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    /// Whether a member of this format can begin with this byte.
    pub(super) fn begins_with(self, byte: u8) -> bool {
        match self {
            Self::Plain => true,
            Self::Gzip => byte == 0x1f,
            Self::Zstd => matches!(byte, 0x28 | 0x50..=0x5f),
        }
    }

    /// What a file of this name should be, going by its end: `.gz`, `.zst`, else plain.
    pub fn of_name(name: impl AsRef<Path>) -> Self {
        let extension = name.as_ref().extension().and_then(|e| e.to_str());
        match extension.unwrap_or_default().to_ascii_lowercase().as_str() {
            "gz" | "gzip" => Self::Gzip,
            "zst" | "zstd" => Self::Zstd,
            _ => Self::Plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_how_to_pack() {
        assert_eq!(Packing::of_name("a/orders.ndjson.GZ"), Packing::Gzip);
        assert_eq!(Packing::of_name("orders.zst"), Packing::Zstd);
        assert_eq!(Packing::of_name("orders.ndjson"), Packing::Plain);
        assert_eq!(Packing::of_name(".gz"), Packing::Plain);
    }
}
