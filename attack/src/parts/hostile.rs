//! Hostile content and arguments: whatever is imported comes back as it was or is refused, no text
//! output contains a control character of the data, and nothing panics or runs without an end.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};

use crate::context::Context;
use crate::dice::Dice;
use crate::program::{Ended, run as run_to_end};
use crate::report::{Finding, Tally};

const LIMIT: Duration = Duration::from_secs(30);

/// Texts that break things.
const TEXTS: [&str; 12] = [
    "\u{1b}[31mred\u{1b}]0;title\u{7}",
    "a\tb\nc\r\nd",
    "\u{202e}txet\u{2066}\u{2069}",
    "\u{feff}\u{200b}\u{200d}",
    "\u{0}",
    "../../etc/passwd",
    "%2e%2e/%00",
    "-rf",
    "' OR 1=1 --",
    "🦀🏳️‍🌈e\u{301}",
    "\u{85}\u{9b}31m\u{2028}\u{2029}",
    "con.txt:stream?*|<>",
];

/// Payloads that are unlike other JSON.
const PAYLOADS: [&str; 8] = [
    "123456789012345678901234567890.10e-400",
    "-0.0",
    "1E400",
    "{\"a\":1,\"a\":2}",
    "\"\\ud800\\u0000\"",
    "[ 1 ,\t2 ]",
    "null",
    "18446744073709551616",
];

/// Programs that do not end by themselves within any patience, or grow.
const PROGRAMS: [&str; 3] = [
    ".data = (reduce range(40) as $i (10; . * .) | . - .)",
    "def f: f; f",
    ".data = [limit(1000000000; repeat(1))]",
];

/// Arguments at their ends.
const ARGUMENTS: [&str; 9] = [
    "migrate o/1 --again --batch 18446744073709551615",
    "migrate o/1 --again --concurrency 18446744073709551615",
    "migrate o/1 --again --cell-events 18446744073709551615",
    "migrate o/1 --again --lock-lease 18446744073709551615s",
    "migrate o/1 --again --give-up-after 99999999999999d",
    "migrate o/1 --again --reversible-for 18446744073709551615d",
    "backup create --all --keep 99999999999999d",
    "read o/1 --from 18446744073709551615 --limit 18446744073709551615",
    "watch --every 0s --once",
];

pub(crate) fn run(context: &Context, rounds: u64) -> Result<Tally> {
    let mut tally = context.in_parallel("hostile", rounds, &|seed, directory| {
        let mut hostile = Hostile {
            context,
            seed,
            directory,
            tally: Tally::of("hostile"),
        };
        hostile.tally.rounds = 1;
        hostile.events(&mut Dice::new(seed))?;
        hostile.bytes(&mut Dice::new(seed))?;
        Ok(hostile.tally)
    })?;
    let directory = context.directory("hostile")?;
    let mut once = Hostile {
        context,
        seed: context.seed,
        directory: &directory,
        tally: Tally::of("hostile"),
    };
    once.arguments()?;
    once.paths()?;
    once.programs()?;
    tally.add(once.tally);
    Ok(tally)
}

struct Hostile<'a> {
    context: &'a Context,
    seed: u64,
    directory: &'a Path,
    tally: Tally,
}

impl Hostile<'_> {
    /// Events full of them: imported and exported they are the same, or they are refused.
    fn events(&mut self, dice: &mut Dice) -> Result<()> {
        let store = self.directory.join("store");
        let file = self.directory.join("in.ndjson");
        for number in 0..8 {
            let line = hostile_line(dice, number);
            std::fs::write(&file, line.clone() + "\n")?;
            let import = format!("import {}", file.display());
            let outcome = self.context.esm.ask(&store, &import, LIMIT)?;
            self.tally.count("events");
            if let Some(complaint) = outcome.bad_manners() {
                self.found(
                    "import",
                    &format!("{line}: {complaint}"),
                    "taken, or refused",
                );
            }
            if outcome.succeeded() {
                self.tally.count("taken");
                self.comes_back(&store, &line)?;
            }
        }
        if store.exists() {
            self.is_shown_escaped(&store)?;
        }
        Ok(())
    }

    fn comes_back(&mut self, store: &Path, line: &str) -> Result<()> {
        let event: Value = serde_json::from_str(line).unwrap_or_default();
        let outcome = self.context.esm.ask(store, "export --all", LIMIT)?;
        let found = outcome.stdout.lines().any(|found| {
            let back: Value = serde_json::from_str(found).unwrap_or_default();
            let same = ["id", "source", "subject", "type"]
                .iter()
                .all(|k| back[*k] == event[*k]);
            same && payload(found) == payload(line)
        });
        if !found {
            self.found("changed", line, "an event comes back as it was imported");
        }
        Ok(())
    }

    /// No text output contains a control character or one that turns the direction.
    fn is_shown_escaped(&mut self, store: &Path) -> Result<()> {
        let listed = self.context.esm.ask(store, "list", LIMIT)?;
        let mut commands = vec![
            vec!["list".to_owned()],
            vec!["status".to_owned(), "--all".to_owned()],
        ];
        for line in listed.stdout.lines() {
            let object: Value = serde_json::from_str(line).unwrap_or_default();
            let object = object["object"].as_str().unwrap_or_default();
            if object.contains('\0') {
                continue;
            }
            for command in ["show", "read", "verify"] {
                commands.push(vec![command.to_owned(), "--".to_owned(), object.to_owned()]);
            }
        }
        for words in commands {
            let outcome = run_to_end(&mut self.context.esm.on(store, &words), LIMIT)?;
            self.tally.count("texts");
            let text = outcome.stdout.clone() + &outcome.stderr;
            if let Some(control) = text.chars().find(|c| is_dangerous(*c)) {
                let happened = format!("esm {words:?} prints {control:?}");
                self.found("text", &happened, "it is shown escaped");
            }
            if let Some(complaint) = outcome.bad_manners() {
                self.found("text", &format!("esm {words:?}: {complaint}"), "a text");
            }
        }
        Ok(())
    }

    /// Bytes that are no events, and events with a byte that is another.
    fn bytes(&mut self, dice: &mut Dice) -> Result<()> {
        let store = self.directory.join("bytes");
        let file = self.directory.join("bytes.ndjson");
        for number in 0..8 {
            let mut bytes = hostile_line(dice, number).into_bytes();
            for _ in 0..=dice.below(4) {
                let at = dice.below(bytes.len() as u64) as usize;
                bytes[at] = dice.draw() as u8;
            }
            if dice.one_in(3) {
                let magic: [&[u8]; 4] = [b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\xff\xfe", b"["];
                bytes = [dice.pick(&magic), &bytes].concat();
            }
            std::fs::write(&file, &bytes)?;
            let import = format!("import {}", file.display());
            let outcome = self.context.esm.ask(&store, &import, LIMIT)?;
            self.tally.count("inputs");
            if let Some(complaint) = outcome.bad_manners() {
                let shown = String::from_utf8_lossy(&bytes).into_owned();
                self.found(
                    "input",
                    &format!("{shown}: {complaint}"),
                    "taken, or refused",
                );
            }
        }
        Ok(())
    }

    fn arguments(&mut self) -> Result<()> {
        let store = self.sound_store("arguments")?;
        for line in ARGUMENTS {
            let outcome = self.context.esm.ask(&store, line, LIMIT)?;
            self.tally.count("arguments");
            if let Some(complaint) = outcome.bad_manners() {
                self.found(
                    "arguments",
                    &format!("esm {line}: {complaint}"),
                    "refused, or done",
                );
            }
        }
        Ok(())
    }

    /// Stores in folders with odd names.
    fn paths(&mut self) -> Result<()> {
        let file = self.directory.join("path.ndjson");
        std::fs::write(&file, plain("o", "1", 0) + "\n")?;
        for name in ["a:b", "q?x", "sp ace", "é#1", "100%25"] {
            let store = self.directory.join(name);
            let import = format!("import {}", file.display());
            let outcome = self.context.esm.ask(&store, &import, LIMIT)?;
            self.tally.count("paths");
            let complaint = outcome.bad_manners();
            let is_there = store.join("esm.json").exists();
            if complaint.is_some() || outcome.succeeded() != is_there {
                let happened = format!("a store in {name:?}: {outcome}; it is there: {is_there}");
                self.found("paths", &happened, "the store is made there, or refused");
            }
        }
        Ok(())
    }

    /// Programs without an end stop when they are asked to.
    fn programs(&mut self) -> Result<()> {
        let store = self.sound_store("programs")?;
        let program = self.directory.join("endless.jq");
        for text in PROGRAMS {
            std::fs::write(&program, text)?;
            let program = program.to_string_lossy();
            let words = ["--output", "json", "plan", "o/1", "--transform", &*program];
            let mut command = std::process::Command::new("timeout");
            let esm = self.context.esm.on(&store, &words);
            command.args(["--signal=TERM", "--kill-after=5", "3"]);
            command.arg(esm.get_program()).args(esm.get_args());
            let outcome = run_to_end(&mut command, LIMIT)?;
            self.tally.count("programs");
            // `timeout` itself is killed with the program, or says so
            if matches!(
                outcome.ended,
                Ended::Code(137) | Ended::Signal(9) | Ended::Hung(_)
            ) {
                let happened = format!("{text}: runs on 5 s after SIGTERM");
                self.found(
                    "programs",
                    &happened,
                    "refused, or stopped by the first SIGTERM",
                );
            }
        }
        Ok(())
    }

    fn sound_store(&self, name: &str) -> Result<std::path::PathBuf> {
        let store = self.directory.join(name);
        let file = self.directory.join("sound.ndjson");
        std::fs::write(
            &file,
            plain("o", "1", 0) + "\n" + &plain("o", "1", 1) + "\n",
        )?;
        let import = format!("import {}", file.display());
        self.context.esm.must(&store, &import, LIMIT)?;
        Ok(store)
    }

    fn found(&mut self, kind: &str, happened: &str, right: &str) {
        let happened: String = happened.chars().take(600).collect();
        self.tally.findings.push(Finding {
            kind: kind.to_owned(),
            happened: happened.escape_debug().to_string(),
            right: right.to_owned(),
            again: self.context.again_with("hostile --rounds 1", self.seed),
        });
    }
}

fn plain(source: &str, subject: &str, sequence: u64) -> String {
    json!({
        "specversion": "1.0", "id": format!("{sequence}"), "source": source, "subject": subject,
        "type": "T", "sequence": sequence.to_string(), "data": {},
    })
    .to_string()
}

/// An event with odd texts in odd places.
fn hostile_line(dice: &mut Dice, number: u64) -> String {
    let mut text = |plain: &str| {
        if dice.one_in(2) {
            format!("{plain}{}", dice.pick(&TEXTS))
        } else {
            plain.to_owned()
        }
    };
    let (id, subject, kind) = (text("i"), text(&format!("k{number}")), text("T"));
    let (extension, media) = (text("x"), text("application/json;x="));
    let mut event = json!({
        "specversion": "1.0", "id": id, "source": "o", "subject": subject, "type": kind,
        "sequence": "0", "ext": extension,
    });
    if dice.one_in(3) {
        event["datacontenttype"] = json!(media);
    }
    let depth = dice.below(300) as usize;
    let deep = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let payload = match dice.below(3) {
        0 => deep,
        1 => json!(dice.pick(&TEXTS)).to_string(),
        _ => dice.pick(&PAYLOADS).to_owned(),
    };
    let line = event.to_string();
    format!("{},\"data\":{payload}}}", &line[..line.len() - 1])
}

/// The text of `data`, which is written last.
fn payload(line: &str) -> Option<&str> {
    let at = line.find("\"data\":")?;
    line[at..].strip_prefix("\"data\":")?.strip_suffix('}')
}

fn is_dangerous(c: char) -> bool {
    let turns = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let ends = matches!(c, '\u{2028}' | '\u{2029}' | '\u{85}');
    turns || ends || (c.is_control() && c != '\n' && c != '\t')
}
