//! The key of pseudonyms.

use std::fmt;

use crate::error::{Error, Result};

/// Bytes of a pseudonym before they are written as text.
const BYTES: usize = 16;
/// Characters of the text.
const LENGTH: usize = 26;
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// A secret from which pseudonyms are made.
///
/// # Guarantees
/// 1. Equal texts have equal pseudonyms under one key, in every stream, store and process. Under
///    another key they have others.
/// 2. A pseudonym has 26 characters of `a`–`z` and `2`–`7`: 128 bits of a keyed BLAKE3 hash. Without
///    the key it cannot be computed from the text, nor the text from it.
/// 3. The [`id`](Self::id) identifies the key and may be shown; the secret is never shown, not by
///    `Debug` either.
///
/// Whoever has the key can find out whose pseudonym it is, by computing those of all people they
/// know of. Destroy the key where that must end.
#[derive(Clone)]
pub struct MaskingKey {
    key: [u8; 32],
    id: String,
}

impl MaskingKey {
    /// The fewest bytes of a secret.
    pub const MIN_BYTES: usize = 16;

    /// The key of a secret: random bytes, or a long text. White space around it does not count, so
    /// that a line end in a file makes no other key.
    ///
    /// # Errors
    /// `Invalid` when the secret has fewer than [`MIN_BYTES`](Self::MIN_BYTES) bytes.
    pub fn new(secret: &[u8]) -> Result<Self> {
        let secret = secret.trim_ascii();
        if secret.len() < Self::MIN_BYTES {
            return Err(Error::invalid(format!(
                "the masking key is too short: {} bytes, at least {} are needed",
                secret.len(),
                Self::MIN_BYTES
            ))
            .with_hint("make one with `head -c 32 /dev/urandom | base64 > masking.key`"));
        }
        let id = blake3::derive_key("esm masking key id v1", secret);
        Ok(Self {
            key: blake3::derive_key("esm masking key v1", secret),
            id: blake3::Hash::from_bytes(id).to_hex()[..16].to_owned(),
        })
    }

    /// Identifies the key: 16 hexadecimal digits, from which the key cannot be computed.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The pseudonym of a text.
    pub fn pseudonym(&self, text: &[u8]) -> String {
        let hash = blake3::keyed_hash(&self.key, text);
        let mut bits = 0_u32;
        let mut count = 0;
        let mut pseudonym = String::with_capacity(LENGTH);
        for byte in &hash.as_bytes()[..BYTES] {
            bits = bits << 8 | u32::from(*byte);
            count += 8;
            while count >= 5 {
                count -= 5;
                pseudonym.push(letter(bits >> count));
            }
        }
        pseudonym.push(letter(bits << (5 - count)));
        pseudonym
    }

    /// Whether a text has the form of a pseudonym.
    pub(super) fn is_pseudonym(text: &str) -> bool {
        text.len() == LENGTH && text.bytes().all(|byte| ALPHABET.contains(&byte))
    }
}

/// The letter of the five lowest bits.
fn letter(bits: u32) -> char {
    char::from(ALPHABET[(bits & 31) as usize])
}

impl fmt::Debug for MaskingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskingKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> MaskingKey {
        MaskingKey::new(secret.as_bytes()).expect("it is long enough")
    }

    #[test]
    fn equal_texts_have_equal_pseudonyms_under_one_key() {
        let [one, again, other] =
            ["0123456789abcdef", "0123456789abcdef\n", "0123456789abcdeg"].map(key);
        assert_eq!(one.pseudonym(b"ada"), again.pseudonym(b"ada"));
        assert_eq!(one.id(), again.id());
        assert_ne!(one.pseudonym(b"ada"), one.pseudonym(b"adb"));
        assert_ne!(one.pseudonym(b"ada"), other.pseudonym(b"ada"));
        assert_ne!(one.id(), other.id());
    }

    #[test]
    fn a_pseudonym_is_the_same_in_every_release() {
        let key = key("an example of a secret");
        insta::assert_snapshot!(format!("{} {}", key.id(), key.pseudonym(b"ada@example.com")), @"2016696e07824342 7zot2psytfxmd2my2bxf6oqh4m");
        assert_eq!(key.pseudonym(b"").len(), 26);
        assert!(MaskingKey::is_pseudonym(&key.pseudonym(b"ada")));
        assert!(!MaskingKey::is_pseudonym("ada@example.com-0123456789"));
    }

    #[test]
    fn a_short_secret_is_refused_and_none_is_shown() {
        let error = MaskingKey::new(b"  0123456789abcde \n").unwrap_err();
        assert!(error.to_string().contains("15 bytes"), "{error}");
        assert!(!format!("{error:?}").contains("0123456789"), "{error:?}");
        assert!(!format!("{:?}", key("0123456789abcdef")).contains("0123456789"));
    }
}
