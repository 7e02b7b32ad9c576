//! Names as storage segments: safe on every operating system and provider, without collisions.
//!
//! `a`–`z`, `0`–`9` and `-` are kept; every other byte of the UTF-8 is `_` and two
//! hexadecimal digits. A leading `-` and the first character of a name that Windows reserves
//! (`con`, `lpt1` …) are escaped too. What would be longer than [`MAX_BYTES`] is cut, and ends in
//! `__` and the blake3 hash of the name: `__` is in no other segment, so a cut one never
//! collides with a whole one. The name of a cut segment is in the objects below it.

/// The longest segment. Leaves room below the 255 bytes of file systems for what a local directory
/// adds while a file is being written.
pub(crate) const MAX_BYTES: usize = 240;

const CUT: &str = "__";
const HASH_BYTES: usize = 64;
const DEVICES: [&str; 4] = ["aux", "con", "nul", "prn"];
const NUMBERED_DEVICES: [&str; 2] = ["com", "lpt"];

/// The segment of a name.
pub(crate) fn encode(name: &str) -> String {
    let escape_first = name.starts_with('-') || is_device(name);
    let mut segment = String::with_capacity(name.len() + 16);
    let mut end_of_cut = 0;
    for (at, byte) in name.bytes().enumerate() {
        let plain = matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if plain && !(at == 0 && escape_first) {
            segment.push(char::from(byte));
        } else {
            segment.push('_');
            segment.extend([byte >> 4, byte & 15].map(hex_digit));
        }
        if segment.len() <= MAX_BYTES - HASH_BYTES - CUT.len() {
            end_of_cut = segment.len();
        }
    }
    if segment.len() > MAX_BYTES {
        segment.truncate(end_of_cut);
        segment.push_str(CUT);
        segment.push_str(&blake3::hash(name.as_bytes()).to_hex());
    }
    segment
}

/// The name of a segment; nothing if it was cut or is no segment of ours.
pub(crate) fn decode(segment: &str) -> Option<String> {
    let mut name = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        name.push(match byte {
            b'_' => (hex_value(bytes.next()?)? << 4) | hex_value(bytes.next()?)?,
            plain => plain,
        });
    }
    let name = String::from_utf8(name).ok()?;
    (encode(&name) == segment).then_some(name)
}

/// Whether a segment was cut, so that its name must be read from an object below it.
pub(crate) fn is_cut(segment: &str) -> bool {
    segment.contains(CUT)
}

fn is_device(name: &str) -> bool {
    let numbered = |device: &&str| {
        name.strip_prefix(*device)
            .is_some_and(|n| matches!(n.as_bytes(), [b'0'..=b'9']))
    };
    DEVICES.contains(&name) || NUMBERED_DEVICES.iter().any(numbered)
}

fn hex_digit(nibble: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(nibble)])
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_read_well_where_they_can() {
        assert_eq!(encode("order-123"), "order-123");
        assert_eq!(encode("Order/é.v2"), "_4frder_2f_c3_a9_2ev2");
        assert_eq!(encode("con"), "_63on");
        assert_eq!(encode("com7"), "_63om7");
        assert_eq!(encode("com77"), "com77");
        assert_eq!(encode("-x"), "_2dx");
    }

    #[test]
    fn what_is_no_segment_of_ours_has_no_name() {
        for foreign in ["con", "_4", "_zz", "_61", "A", "é", "_ff", "-x"] {
            assert_eq!(decode(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn long_names_are_cut_and_differ_although_they_begin_alike() {
        let (a, b) = ("é".repeat(300) + "a", "é".repeat(300) + "b");
        assert_ne!(encode(&a), encode(&b));
        assert!(encode(&a).len() <= MAX_BYTES);
        assert!(is_cut(&encode(&a)) && decode(&encode(&a)).is_none());
        let longest_whole = "a".repeat(MAX_BYTES);
        assert_eq!(encode(&longest_whole), longest_whole);
    }

    proptest! {
        #[test]
        fn every_segment_is_safe_everywhere(name in "\\PC{1,300}") {
            let segment = encode(&name);
            prop_assert!((1..=MAX_BYTES).contains(&segment.len()));
            let safe = |b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
            prop_assert!(segment.bytes().all(safe), "{}", segment);
            prop_assert!(!segment.starts_with('-') && !is_device(&segment));
        }

        #[test]
        fn a_whole_segment_gives_its_name_back(name in "\\PC{1,20}") {
            prop_assert_eq!(decode(&encode(&name)), Some(name));
        }

        #[test]
        fn two_names_never_meet(
            (a, b) in prop_oneof![
                ("\\PC{1,20}", "\\PC{1,20}"),
                ("[_a-f0-9A-F.-]{1,6}", "[_a-f0-9A-F.-]{1,6}"),
                ("(con|CON|nul|com1|_63on|c)", "(con|CON|nul|com1|_63on|c)"),
                ("[aé]{230,245}(__[0-9a-f]{64})?", "[aé]{230,245}(__[0-9a-f]{64})?"),
            ]
        ) {
            prop_assert_eq!(a == b, encode(&a) == encode(&b));
        }
    }
}
