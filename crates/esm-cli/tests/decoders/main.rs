//! The fuzzer's targets on the stable toolchain: their seeds, and mutations of them.
//!
//! A target fails by panicking. `cargo xtask nightly` gives the same targets to cargo-fuzz.

#[path = "../../../../fuzz/targets.rs"]
mod targets;

use std::path::Path;

use targets::Template;

/// Mutations of each seed.
const MUTATIONS: u64 = 200;
/// Mutations of each file of a store, all of whose commands are run on it.
const STORE_MUTATIONS: u64 = 2;

/// A generator of numbers that are always the same (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % (limit as u64 + 1)).expect("a small number")
    }
}

/// The seed with a part changed, removed, repeated or inserted; `kept` bytes at its begin stay.
fn mutate(seed: &[u8], kept: usize, numbers: &mut Numbers) -> Vec<u8> {
    const INSERTED: [&[u8]; 8] = [
        b"18446744073709551615",
        b"-9223372036854775809",
        b"1e999",
        b"\"",
        b"{}[](),:",
        b"\xff\x00",
        "\u{feff}\u{202e}".as_bytes(),
        b"\n\n",
    ];
    let mut mutated = seed.to_vec();
    for _ in 0..=numbers.below(2) {
        let from = kept + numbers.below(mutated.len().saturating_sub(kept));
        let from = from.min(mutated.len());
        let to = (from + numbers.below(16)).min(mutated.len());
        match numbers.below(4) {
            0 => mutated[from..to]
                .iter_mut()
                .for_each(|byte| *byte ^= 1 << (*byte % 8)),
            1 => drop(mutated.drain(from..to)),
            2 => mutated.extend_from_within(from..to),
            3 => mutated.truncate(from),
            _ => {
                let inserted = INSERTED[numbers.below(INSERTED.len() - 1)];
                drop(mutated.splice(from..to, inserted.iter().copied()));
            }
        }
    }
    mutated
}

fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/seeds")
        .join(name);
    let mut numbers = Numbers(1);
    let mut seeds = 0;
    target(&[]);
    for entry in std::fs::read_dir(&folder).expect("a folder of seeds") {
        let seed = std::fs::read(entry.expect("an entry").path()).expect("a seed");
        seeds += 1;
        target(&seed);
        for _ in 0..MUTATIONS {
            target(&mutate(&seed, 0, &mut numbers));
        }
    }
    assert!(seeds > 0, "no seeds in {}", folder.display());
}

#[test]
fn events_of_any_bytes_are_read_or_refused() {
    replay("event", targets::event);
}

#[test]
fn cells_of_any_bytes_are_read_or_refused() {
    replay("cell", targets::cell);
}

#[test]
fn backups_of_any_bytes_are_read_or_refused() {
    replay("backup", targets::backup);
}

#[test]
fn records_of_any_bytes_are_read_or_refused() {
    replay("record", targets::record);
}

#[test]
fn texts_of_any_bytes_are_read_or_refused() {
    replay("text", targets::text);
}

#[test]
fn command_lines_of_any_text_are_parsed_or_refused() {
    replay("arguments", targets::arguments);
}

#[test]
fn programs_of_any_text_are_run_or_refused() {
    replay("jq", targets::jq);
}

#[test]
fn a_store_with_any_file_of_any_bytes_is_read_or_refused() {
    let template = Template::of_an_early_version();
    let mut numbers = Numbers(2);
    for seed in template.seeds() {
        targets::store(&template, &seed[..2]);
        for _ in 0..STORE_MUTATIONS {
            targets::store(&template, &mutate(&seed, 2, &mut numbers));
        }
    }
}
