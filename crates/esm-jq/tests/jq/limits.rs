//! A program that does not come to an end is stopped; nothing that it does ends the process.

use esm_core::event::Revision;
use esm_core::id::EventType;
use esm_core::transform::{EventTransformer, TransformContext, Transformed};
use esm_jq::JqTransformer;

use crate::events::{apply, compile, event, events, failure, object, transform};

#[test]
fn endless_loops_are_stopped() {
    let before = event("T", r#"{"a":1}"#);
    for program in [
        "def f: f; f",
        "def f: .data.a += 1 | f; f",
        "def f: def g: f; g; f",
        "def f(g): f(g); f(.)",
        "def f($x): f($x + 1); f(0)",
        "repeat(.) | empty",
        "[.data | recurse(.)] | empty",
        "until(false; .)",
        "last(range(0; infinite))",
        "reduce range(0; 1000000000000) as $i (0; . + 1)",
        "[limit(100000000; repeat(1))] | length",
        "first(repeat(.) | select(false))",
        "path(repeat(.)) | empty",
        "label $out | repeat(.) | if false then break $out else empty end",
        "foreach repeat(1) as $x (0; . + $x; empty)",
        "(def f: f; f) // .",
        "isempty(repeat(.) | empty)",
        "[splits(\"a\")]?, (def f: f; f)",
    ] {
        let result = apply(&compile(program).max_steps(5_000), &before);
        assert!(
            result
                .as_ref()
                .is_err_and(|e| e.message.contains("was stopped after 5000 steps")),
            "{program}: {result:?}"
        );
    }
}

#[test]
fn no_program_can_catch_that_it_was_stopped() {
    let before = event("T", "{}");
    for program in [
        "try (def f: f; f) catch .",
        "(def f: f; f)?, .",
        "try (def f: 1 + f; f) catch .",
        "(repeat(.) | select(false)) |= 1",
        "def f(g): g | f(g); f(.)",
    ] {
        let result = apply(&compile(program).max_steps(5_000), &before);
        assert!(
            result
                .as_ref()
                .is_err_and(|e| e.message.contains("the program was stopped")),
            "{program}: {result:?}"
        );
    }
}

#[test]
fn too_many_outputs_are_refused() {
    let before = event("T", "{}");
    for program in ["repeat(.)", "range(1001) as $i | .", "def f: ., f; f"] {
        assert_eq!(
            failure(program, &before),
            "the program gives more than 1000 outputs",
            "{program}"
        );
    }
    let program = "range(1000) as $i | .id += \".\\($i)\"";
    assert_eq!(events(program, &before).len(), JqTransformer::MAX_OUTPUTS);
}

#[test]
fn deep_recursion_has_a_large_stack_and_an_end() {
    let before = event("T", "{}");
    let sum = "def sum: if . == 0 then 0 else . + (. - 1 | sum) end; .data = (2000 | sum)";
    assert_eq!(events(sum, &before).remove(0).payload, "2001000");
    for program in ["def f: 1 + f; f", "def f: [f]; f", "def f: f | f | 1; f"] {
        assert!(
            failure(program, &before).contains("recurses too deeply"),
            "{program}"
        );
    }
}

#[test]
fn data_may_be_nested_to_a_bound() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    let program =
        ".data |= walk(if type == \"array\" then . else empty end) | .data |= [.. | tojson]";
    assert_eq!(
        transform(".", &event("T", &nested(128))),
        Ok(Transformed::Unchanged)
    );
    assert_eq!(events(program, &event("T", &nested(128))).len(), 1);
    assert_eq!(
        failure(".", &event("T", &nested(129))),
        "its data is nested deeper than 128 levels"
    );
    let found = failure(".data |= [.]", &event("T", &nested(128)));
    assert!(
        found.starts_with("output 1 of 1 is no event: `data` is no JSON: it is nested deeper"),
        "{found}"
    );
}

#[test]
fn json_inside_of_a_string_is_read_strictly_and_to_a_bound() {
    let text = |text: &str| event("T", &serde_json::to_string(text).unwrap());
    assert_eq!(
        events(".data |= fromjson", &text("{\"a\": [1.10]}"))
            .remove(0)
            .payload,
        "{\"a\":[1.10]}"
    );
    for (json, message) in [
        ("1 2", "a string is not JSON: unexpected at byte 2"),
        ("NaN1", "a string is not JSON"),
        (&"[".repeat(100_000), "nested deeper than 128 levels"),
    ] {
        let found = failure(".data |= fromjson", &text(json));
        assert!(found.contains(message), "{found}");
    }
}

#[test]
fn what_makes_too_much_is_stopped_and_cannot_catch_it() {
    let before = event("T", r#"{"a":"x","n":[1,2,3,4,5,6,7,8,9,10]}"#);
    let stopped = "the program was stopped: it makes values of more than 3000000 bytes";
    for program in [
        "reduce range(60) as $i (\"x\"; . + .)",
        "reduce range(60) as $i ([1]; . + .)",
        "reduce range(60) as $i (.; .data.a += .data.a)",
        ".data = \"abc\" * 700000000",
        ".data = 500000000 * \"abc\"",
        ".data.a *= 1000000000",
        "try (\"abc\" * 100000000) catch .",
        "(\"abc\" * 100000000)?, .",
        "[range(1000) | \"x\" * 1000000]",
        "reduce range(60) as $i (1; [., .]) | tojson",
        "reduce range(60) as $i (1; [., .]) | \"\\(.)\"",
        "reduce range(60) as $i (1; [., .]) | @base64",
        ".data.x[500000] = 1",
        "def p(f): [f as $x | .[] | [$x, .]]; .data.n | p(.[]) | p(.[]) | p(.[]) | p(.[])",
    ] {
        let result = apply(&compile(program).max_made(3_000_000), &before);
        assert_eq!(result.unwrap_err().message, stopped, "{program}");
    }
    let found = failure(
        ".data = reduce range(40) as $i (\"x\" * 1000000; [., .])",
        &event("T", "{}"),
    );
    assert!(found.contains("it is larger than 64 MiB"), "{found}");
}

/// What a run compared has no effect on the next one.
#[test]
fn values_that_are_too_deep_to_be_compared_are_an_error_of_their_own_run() {
    let before = event("T", "{}");
    let deep = "reduce range(10001) as $i ([]; [.])";
    let found = failure(
        &format!("({deep}) as $x | [$x, $x] | sort | empty"),
        &before,
    );
    assert!(found.starts_with("comparison too deep"), "{found}");
    let least = compile(&format!("({deep}) as $x | [$x, $x] | min | empty"));
    let equal = compile(".data.same = (.id == .id)");
    for _ in 0..2 {
        assert!(apply(&least, &before).is_ok());
        assert!(apply(&equal, &before).is_ok());
    }
}

#[test]
fn what_makes_little_is_not_stopped() {
    let before = event("T", r#"{"s":"ab"}"#);
    for (program, expected) in [
        (
            ".data |= ([range(20000) | \"0123456789\"] | add | length)",
            "200000",
        ),
        (
            ".data |= (reduce range(20000) as $i ([]; . + [$i]) | length)",
            "20000",
        ),
        (
            ".data |= ([range(20000)] | map(. + 1) | map(. * 2) | add)",
            "400020000",
        ),
        (".data |= [(1, 2, 3) * (10, 100)]", "[10,20,30,100,200,300]"),
        (".data |= [(1, 2) + (10, 20)]", "[11,12,21,22]"),
        (".data |= .s * 3", "\"ababab\""),
        (".data |= ({a: 1} * {b: 2})", "{\"a\":1,\"b\":2}"),
        (".data |= ([1, 2] | .[] += (10, 20))", "[11,12]"),
        (".data |= ([1, 2] | .[] *= 3)", "[3,6]"),
    ] {
        assert_eq!(
            events(program, &before).remove(0).payload,
            expected,
            "{program}"
        );
    }
}

#[test]
fn a_fingerprint_names_the_text_and_the_types() {
    let fingerprint = |program| compile(program).fingerprint().as_str().to_owned();
    // Stored in streams: it must not change for a program as long as its outputs do not.
    assert_eq!(
        fingerprint("."),
        format!("jq:v1:{}", blake3::hash(b".").to_hex())
    );
    assert_ne!(fingerprint("."), fingerprint(". "));
    let only = |types: &[&str]| {
        let types = types.iter().map(|t| EventType::new(t).unwrap());
        compile(".").only_types(types).fingerprint()
    };
    assert_eq!(only(&["A", "B"]), only(&["B", "A"]));
    assert_ne!(only(&["A", "B"]), only(&["AB"]));
    assert_ne!(only(&[]).as_str(), fingerprint("."));
}

#[test]
fn the_rule_is_the_last_part_of_the_name() {
    let object = object();
    let context = TransformContext::new(&object, Revision(0));
    for (name, rule) in [("rules/orders.jq", "orders.jq"), ("jq", "jq"), ("", "jq")] {
        let transformer = JqTransformer::compile(name, "empty").unwrap();
        assert_eq!(
            transformer.transform(&event("A", ""), &context),
            Ok(Transformed::Dropped {
                rule: rule.to_owned()
            })
        );
    }
}

/// Integers grow by squaring, doubling and subtracting. Each way ends at the same limit, soon, and no
/// `try` catches it.
#[test]
fn integers_that_grow_without_end_are_stopped() {
    let before = event("T", "{}");
    for grows in [
        "reduce range(40) as $i (10; . * .) | . - .",
        "reduce range(40) as $i (10; . *= .) | 1",
        "reduce range(900000) as $i (10; . + .) | 1",
        "reduce range(900000) as $i (10; . - (0 - .)) | 1",
        "try (reduce range(40) as $i (10; . * .) | . - .) catch 1",
    ] {
        let result = apply(&compile(&format!(".data = ({grows})")), &before);
        let stopped = "it makes an integer of more than 16384 bits";
        assert!(
            result.as_ref().is_err_and(|e| e.message.contains(stopped)),
            "{grows}: {result:?}"
        );
    }
    let exact = ".data = (reduce range(12) as $i (10; . * .) | tostring | length)";
    let result = apply(&compile(exact), &before).unwrap();
    assert!(format!("{result:?}").contains("4097"), "{result:?}");
}

/// A product takes as many steps as it takes time.
#[test]
fn large_products_count_as_steps() {
    let program = ".data = (reduce range(12) as $i (10; . * .) | . as $x \
                   | reduce range(3000) as $i (0; $x * 1000000000000000000000 | 1))";
    let before = event("T", "{}");
    let result = apply(&compile(program).max_steps(5_000), &before);
    let stopped = "was stopped after 5000 steps";
    assert!(
        result.as_ref().is_err_and(|e| e.message.contains(stopped)),
        "{result:?}"
    );
}
