//! What the language offers, and what it leaves out and why.

use esm_jq::JqTransformer;

use crate::events::value;

#[test]
fn what_depends_on_the_run_or_reaches_outside_is_absent_and_says_why() {
    for (program, name, reason) in [
        ("now", "now", "when it runs"),
        ("env", "env", "environment"),
        ("$ENV", "$ENV", "environment"),
        ("$ENV.HOME", "$ENV", "environment"),
        ("$__prog_args", "$__prog_args", "environment"),
        ("builtins", "builtins", "environment"),
        ("get_search_list", "get_search_list", "environment"),
        ("localtime", "localtime", "time zone"),
        ("strflocaltime(\"%H\")", "strflocaltime", "time zone"),
        ("input", "input", "one event"),
        ("[inputs]", "inputs", "one event"),
        ("input_filename", "input_filename", "one event"),
        ("input_line_number", "input_line_number", "one event"),
        ("debug", "debug", "several times"),
        ("debug(.a)", "debug", "several times"),
        ("stderr", "stderr", "several times"),
        ("halt", "halt", "end the process"),
        ("halt(1)", "halt", "end the process"),
        ("halt_error", "halt_error", "end the process"),
        ("halt_error(1)", "halt_error", "end the process"),
        ("modulemeta", "modulemeta", "fingerprint"),
    ] {
        let error = match JqTransformer::compile("t.jq", program) {
            Err(error) => error,
            Ok(_) => panic!("it compiles: {program}"),
        };
        let message = error.to_string();
        let expected = format!("not available in a transformation: {name}\n");
        assert!(message.contains(&expected), "{message}");
        assert!(
            error.hint().is_some_and(|hint| hint.contains(reason)),
            "{error:?}"
        );
    }
}

#[test]
fn nothing_that_prints_hides_behind_another_name() {
    for program in ["debug_empty", "stderr_empty"] {
        assert!(
            JqTransformer::compile("t.jq", program).is_err(),
            "{program}"
        );
    }
}

#[test]
fn a_program_may_define_what_is_absent() {
    assert_eq!(value("def now: 7; now"), "7");
}

#[test]
fn the_rest_of_the_language_is_there() {
    for (expression, expected) in [
        // Selecting and building
        (".data.n[1]", "1"),
        (".data.n[-1:]", "[2]"),
        (".data.n[]", "3,1,2"),
        (".data[\"s\"]", "\"Aé😀\""),
        (".data.missing?", "null"),
        (".data | .s.x?", ""),
        (
            ".data.o | {a, c: .b, (\"d\" + \"e\"): 1}",
            r#"{"a":1,"c":null,"de":1}"#,
        ),
        ("[.data.n[] | select(. > 1)]", "[3,2]"),
        (".data.n | map(. * 2)", "[6,2,4]"),
        (".data.o | map_values(. // 0)", r#"{"a":1,"b":0}"#),
        (
            ".data.o | with_entries(.key |= ascii_upcase)",
            r#"{"A":1,"B":null}"#,
        ),
        (".data.o | to_entries | from_entries", r#"{"a":1,"b":null}"#),
        (".data.o | del(.b)", r#"{"a":1}"#),
        (
            ".data.o | keys, keys_unsorted, length",
            r#"["a","b"],["a","b"],2"#,
        ),
        (".data.o | has(\"a\"), has(\"z\")", "true,false"),
        (".data.n | contains([1]), inside([1,2,3])", "true,true"),
        (".data.o | pick(.a)", r#"{"a":1}"#),
        (".data.o * {b: {c: 1}}", r#"{"a":1,"b":{"c":1}}"#),
        // Control
        (
            "if .data.n[0] > 2 then \"big\" elif true then 1 else 2 end",
            "\"big\"",
        ),
        ("if false then 1 end | type", "\"object\""),
        ("try error(\"x\") catch . + \"!\"", "\"x!\""),
        (".data.o.b // \"none\"", "\"none\""),
        ("reduce .data.n[] as $x (0; . + $x)", "6"),
        (
            "foreach .data.n[] as $x (0; . + $x; [$x, .])",
            "[3,3],[1,4],[2,6]",
        ),
        (
            "label $f | .data.n[] | if . == 1 then ., break $f else . end",
            "3,1",
        ),
        (
            "first(.data.n[]), last(.data.n[]), nth(1; .data.n[])",
            "3,2,1",
        ),
        (
            "limit(2; .data.n[]), (.data.n | until(length < 2; .[1:]))",
            "3,1,[2]",
        ),
        (
            "[range(0; 10; 3)], [range(3; 0; -1)], [range(2)]",
            "[0,3,6,9],[3,2,1],[0,1]",
        ),
        ("[1 | while(. < 10; . * 2)]", "[1,2,4,8]"),
        (
            "def fac: if . <= 1 then 1 else . * (. - 1 | fac) end; 20 | fac",
            "2432902008176640000",
        ),
        (". as {data: {n: [$a, $b]}} | $a + $b", "4"),
        ("any(.data.n[]; . > 2), all(.data.n[]; . > 2)", "true,false"),
        ("isempty(empty), isempty(1)", "true,false"),
        ("$__loc__", r#"{"file":"<top-level>","line":1}"#),
        (
            "{$__loc__}",
            r#"{"__loc__":{"file":"<top-level>","line":1}}"#,
        ),
        // Paths
        (
            "[1, 2, 3, 4] | del(.[0, 2]), del(.[1:3]), del(.[-1], .[9])",
            "[2,4],[1,4],[1,2,3]",
        ),
        (
            "{a: [{b: 1, c: 2, d: 3}], e: 1} | del(.a[].b, .e), delpaths([[\"x\", \"y\"], [\"a\"]])",
            r#"{"a":[{"c":2,"d":3}]},{"e":1}"#,
        ),
        ("null | del(.a.b), ([1] | del(.[].x?))", "null,[1]"),
        (".data.o | [paths]", r#"[["a"],["b"]]"#),
        ("[.data | path(.. | numbers)] | length", "4"),
        (".data | getpath([\"o\", \"a\"])", "1"),
        (
            ".data.o | setpath([\"z\"]; 1) | delpaths([[\"a\"]])",
            r#"{"b":null,"z":1}"#,
        ),
        (
            ".data.o | walk(if . == null then 0 end)",
            r#"{"a":1,"b":0}"#,
        ),
        ("[.data.o | .. | scalars]", "[1,null]"),
        (".data.n | .[0] |= . + 1 | .[1] += 1", "[4,2,2]"),
        ("[{a: [1, [2]]} | recurse | numbers]", "[1,2]"),
        // Arrays
        (
            ".data.n | sort, reverse, min, max, add, unique",
            "[1,2,3],[2,1,3],1,3,6,[1,2,3]",
        ),
        (
            ".data.n | sort_by(-.), group_by(. > 1), unique_by(. > 1)",
            "[3,2,1],[[1],[3,2]],[1,3]",
        ),
        ("[[1, [2]], 3] | flatten, flatten(1)", "[1,2,3],[1,[2],3]"),
        (
            ".data.n | index(1), (map(tostring) | join(\"-\"))",
            "1,\"3-1-2\"",
        ),
        ("[[1, 2], [3]] | transpose", "[[1,3],[2,null]]"),
        ("[1, 2] | combinations(2) | add", "2,3,3,4"),
        ("[1, 2, 3] | bsearch(2), .[1:], (. - [2])", "1,[2,3],[1,3]"),
        (
            "[1, null, \"a\", [], {}] | map(type)",
            r#"["number","null","string","array","object"]"#,
        ),
        // Text
        (
            ".data.s | length, utf8bytelength, ascii_downcase, ascii_upcase",
            "3,7,\"aé😀\",\"Aé😀\"",
        ),
        (
            "\"a,b\" | split(\",\"), test(\"B\"; \"i\"), ltrimstr(\"a\")",
            r#"["a","b"],true,",b""#,
        ),
        (
            "\"a1b22\" | [match(\"[0-9]+\"; \"g\").string], [scan(\"[a-z]\")]",
            r#"["1","22"],["a","b"]"#,
        ),
        (
            "\"a1b22\" | sub(\"(?<d>[0-9])\"; \"<\\(.d)>\"), gsub(\"[0-9]\"; \"\")",
            r#""a<1>b22","ab""#,
        ),
        (
            "\"a1b22\" | capture(\"(?<l>[a-z])(?<d>[0-9])\"), [splits(\"[0-9]+\")]",
            r#"{"l":"a","d":"1"},["a","b",""]"#,
        ),
        ("\" x \" | trim, ltrim, rtrim", "\"x\",\"x \",\" x\""),
        (
            "\"abc\" | startswith(\"a\"), endswith(\"x\"), (explode | implode)",
            "true,false,\"abc\"",
        ),
        (
            "\"n: \\(.data.n)\", ([1, \"a\"] | tojson), (\"[1]\" | fromjson)",
            r#""n: [3,1,2]","[1,\"a\"]",[1]"#,
        ),
        (
            "\"<&>\" | @html, @uri, @base64, @sh, @json, @text",
            r#""&lt;&amp;&gt;","%3C%26%3E","PCY+","'<&>'","\"<&>\"","<&>""#,
        ),
        ("\"PCY+\" | @base64d", "\"<&>\""),
        ("@base64 \"x\\(\"<\")\"", "\"xPA==\""),
        (
            "\"12\" | tonumber, (12 | tostring), (\"true\" | toboolean)",
            "12,\"12\",true",
        ),
        // Numbers
        ("1.5 | floor, ceil, round, sqrt", "1,2,2,1.224744871391589"),
        ("7 % 3, 1 / 4, -(3), (-3 | abs)", "1,0.25,-3,3"),
        ("pow(2; 10), (100 | log10), ([1.5, 2] | add)", "1024,2,3.5"),
        (
            "(nan | isnan), (infinite | isinfinite), (1 | isnormal)",
            "true,true,true",
        ),
        // Time, in UTC
        (
            ".data.at | fromdate, fromdateiso8601",
            "1706695200,1706695200",
        ),
        (
            "1706695200 | todate, strftime(\"%d.%m.%Y %H:%M\"), (gmtime | mktime)",
            r#""2024-01-31T10:00:00Z","31.01.2024 10:00",1706695200"#,
        ),
        (
            "\"31/01/2024\" | strptime(\"%d/%m/%Y\") | mktime",
            "1706659200",
        ),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}

/// Outputs of the engine that an upgrade must not change unnoticed: if this fails, the semantics
/// version in the fingerprint is to be raised.
#[test]
fn the_meaning_of_programs_is_pinned() {
    for (expression, expected) in [
        (
            "1 + 1.0, 3 / 2, 0.1 + 0.2, 1e1000, 10 / 5",
            "2,1.5,0.30000000000000004,1e1000,2",
        ),
        ("9223372036854775807 + 1", "9223372036854775808"),
        (
            "1e17 * 10, 1.0, 100.0 | tostring",
            "\"1e+18\",\"1.0\",\"100.0\"",
        ),
        (
            "{a: 1, b: 2, c: 3} | del(.a), (.a |= empty)",
            r#"{"b":2,"c":3},{"b":2,"c":3}"#,
        ),
        (
            "[3, \"a\", null, {}, [], false] | sort",
            r#"[null,false,3,"a",[],{}]"#,
        ),
        (
            "[\"é\" | ltrimstr(\"x\"), ascii_downcase, @uri]",
            r#"["é","é","%C3%A9"]"#,
        ),
        ("\"aXbX\" | sub(\"x\"; \"-\"; \"gi\")", "\"a-b-\""),
        ("[.[]?] | length", "11"),
        (
            "{} | .a = {b: {}} | .a.b.c = 1 | .a[\"x\"] += 1",
            r#"{"a":{"b":{"c":1},"x":1}}"#,
        ),
        ("[limit(3; repeat(1))], [1, [2, 3]] | flatten | add", "3,6"),
        ("1.123456789 | todate", "\"1970-01-01T00:00:01Z\""),
        (
            "\"\\u0000\\u001f\\u007f\\u2028\"",
            "\"\\u0000\\u001f\u{7f}\u{2028}\"",
        ),
    ] {
        assert_eq!(value(expression), expected, "{expression}");
    }
}
