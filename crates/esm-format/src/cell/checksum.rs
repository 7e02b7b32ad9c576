//! The checksum of a cell's two parts.

/// Returns the CRC-32 as 8 hexadecimal digits.
pub(super) fn crc32(bytes: &[u8]) -> String {
    format!("{:08x}", crc32fast::hash(bytes))
}
