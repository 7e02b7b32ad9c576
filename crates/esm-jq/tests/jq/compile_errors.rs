//! A program that does not compile says where and why.

use esm_core::{Error, ErrorKind};
use esm_jq::JqTransformer;

fn refused(program: &str) -> Error {
    let error = match JqTransformer::compile("rules/orders.jq", program) {
        Err(error) => error,
        Ok(_) => panic!("it compiles: {program}"),
    };
    assert_eq!(*error.kind(), ErrorKind::Invalid);
    error
}

fn message(program: &str) -> String {
    refused(program).to_string()
}

fn first_line(program: &str) -> String {
    let message = message(program);
    message.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn the_place_is_shown() {
    assert_eq!(
        message("# rename\n.type = \"X\"\n| .data.at = nwo + $x"),
        "rules/orders.jq:3:14: undefined function: nwo/0\n  |\n3 | | .data.at = nwo + $x\n  |              ^^^\n\n\
         rules/orders.jq:3:20: undefined variable: $x\n  |\n3 | | .data.at = nwo + $x\n  |                    ^^"
    );
}

#[test]
fn each_kind_of_fault_is_named() {
    for (program, expected) in [
        (".a |", "1:5: expected a term, found the end of the program"),
        (".a = .b = 1", "1:9: expected a term, found `=`"),
        (".a |= .b += 1", "1:10: expected a term, found `+=`"),
        ("(1 < 2 == true)", "1:8: expected a term, found `==`"),
        (
            ".a + (.b",
            "1:6: `(` is not closed, found the end of the program",
        ),
        (".a)", "1:3: expected a token, found `)`"),
        (
            "if .a then .b",
            "1:14: expected a else or end, found the end of the program",
        ),
        ("if .a .b end", "1:10: expected `then`, found `end`"),
        ("reduce .[] $x (0; 1)", "1:12: expected `as`, found `$x`"),
        (". . §", "1:5: expected a token, found `§`"),
        (
            "\"\\q\"",
            "1:3: expected a string escape sequence, found `q`",
        ),
        ("1e", "1:3: expected a digit, found the end of the program"),
        (
            "reduce .[] as $x (0)",
            "1:1: `reduce` takes 2 arguments, not 1",
        ),
        ("map(.; .)", "1:1: undefined function: map/2"),
        ("break $out", "1:7: undefined label: $out"),
        ("a::b", "1:1: undefined module: a"),
        ("", "1:1: the program is empty"),
        ("# only a comment\n", "2:1: the program is empty"),
        (". ;", "1:3: expected the end of the program, found `;`"),
    ] {
        assert_eq!(
            first_line(program),
            format!("rules/orders.jq:{expected}"),
            "{program}"
        );
    }
}

#[test]
fn a_fault_inside_of_a_string_has_its_place() {
    assert_eq!(
        first_line("\"x\\(.a | nwo)\""),
        "rules/orders.jq:1:10: undefined function: nwo/0"
    );
}

#[test]
fn modules_are_refused() {
    for program in [
        r#"import "a" as a; a::f"#,
        r#"import "d" as $d; ."#,
        r#"include "a"; ."#,
        "module {}; .",
    ] {
        let error = refused(program);
        assert!(
            error.to_string().contains("1:1: modules are not available"),
            "{error}"
        );
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("fingerprint"))
        );
    }
}

#[test]
fn what_would_take_too_much_stack_or_memory_is_refused() {
    assert!(message(&"[".repeat(1000)).contains("1:201: more than 200 brackets are open"));
    assert!(message(&" ".repeat((1 << 20) + 1)).contains("too long: 1048577 bytes"));
}
