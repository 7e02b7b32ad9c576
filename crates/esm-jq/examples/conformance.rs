//! Measures how far programs mean what they mean in jq: `cargo run -p esm-jq --example conformance
//! -- jq.test`, with the test file of jq.
//!
//! Prints each program that is refused when it is compiled, and each whose results are others, with
//! both results; then the counts. The file has a program, its input and its outputs, each in a line,
//! and a blank line behind them.

use std::process::ExitCode;

use bytes::Bytes;
use esm_jq::JqMap;
use serde_json::Value;

struct Case<'t> {
    program: &'t str,
    input: &'t str,
    outputs: Vec<&'t str>,
    /// The program fails behind its outputs.
    fails: bool,
}

enum Outcome {
    Equal,
    Other(String),
    Refused(String),
    /// Its input is no JSON.
    DoesNotApply,
}

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: conformance FILE");
        return ExitCode::FAILURE;
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) => {
            eprintln!("{path}: {e}");
            return ExitCode::FAILURE;
        }
    };
    let (mut equal, mut other, mut refused) = (0, 0, 0);
    for case in cases(&text) {
        match run(&case) {
            Outcome::Equal => equal += 1,
            Outcome::DoesNotApply => {}
            Outcome::Other(found) => {
                other += 1;
                let (program, input) = (case.program, case.input);
                println!("other    {program}\n  of     {input}");
                println!("  jq     {}\n  esm    {found}", case.outputs.join(" "));
            }
            Outcome::Refused(why) => {
                refused += 1;
                println!("refused  {}\n  why    {why}", case.program);
            }
        }
    }
    println!("{equal} equal, {other} other, {refused} refused");
    ExitCode::SUCCESS
}

fn cases(text: &str) -> Vec<Case<'_>> {
    let mut cases = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let rest: Vec<&str> = lines
            .by_ref()
            .take_while(|line| !line.trim().is_empty())
            .collect();
        // programs that must not compile are none to compare
        if line.starts_with("%%FAIL") {
            continue;
        }
        let comment = |line: &&&str| line.trim_start().starts_with('#');
        let fails = rest
            .iter()
            .filter(comment)
            .any(|line| line.contains("Runtime error"));
        let Some((input, outputs)) = rest.split_first() else {
            continue;
        };
        let outputs = outputs
            .iter()
            .filter(|line| !comment(line))
            .copied()
            .collect();
        cases.push(Case {
            program: line,
            input,
            outputs,
            fails,
        });
    }
    cases
}

fn run(case: &Case<'_>) -> Outcome {
    let map = format!(
        "[try (({}\n) | [tojson]) catch {{error: tojson}}] | {{id: \"1\", type: \"T\", object: \"o/1\", data: .}}",
        case.program
    );
    // the program alone, so that what is refused is the program
    if let Err(error) = JqMap::compile("program", case.program) {
        return Outcome::Refused(
            error
                .to_string()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned(),
        );
    }
    let events = JqMap::compile("program", &map)
        .and_then(|map| map.map(&Bytes::copy_from_slice(case.input.as_bytes())));
    let results: Vec<Value> = match events {
        Ok(events) => match serde_json::from_slice(&events[0].event.payload) {
            Ok(results) => results,
            Err(e) => return Outcome::Other(e.to_string()),
        },
        Err(error) if error.to_string().contains("record is not JSON") => {
            return Outcome::DoesNotApply;
        }
        Err(error) => return Outcome::Other(error.to_string()),
    };
    let failed = results.iter().any(Value::is_object);
    let outputs: Vec<&str> = results
        .iter()
        .filter_map(|result| result[0].as_str())
        .collect();
    let same = outputs.len() == case.outputs.len()
        && outputs
            .iter()
            .zip(&case.outputs)
            .all(|(found, wanted)| same(found, wanted));
    if same && (!case.fails || failed) {
        Outcome::Equal
    } else {
        let all: Vec<String> = results
            .iter()
            .map(|result| match &result[0] {
                Value::String(text) => text.clone(),
                _ => result.to_string(),
            })
            .collect();
        Outcome::Other(all.join(" "))
    }
}

fn same(found: &str, wanted: &str) -> bool {
    match (
        serde_json::from_str::<Value>(found),
        serde_json::from_str::<Value>(wanted),
    ) {
        (Ok(found), Ok(wanted)) => equal(&found, &wanted),
        _ => found == wanted,
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| equal(v, w)))
        }
        _ => a == b,
    }
}
