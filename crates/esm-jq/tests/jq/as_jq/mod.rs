//! Programs give what jq 1.8 gives: expressions, and what jq gave for them.

mod texts;

use crate::events::value;

fn check(expected: &[(&str, &str)]) {
    for (expression, expected) in expected {
        assert_eq!(
            value(&format!("null | {expression}")),
            *expected,
            "{expression}"
        );
    }
}

#[test]
fn what_is_missing_is_made_or_null() {
    check(&[
        ("null | .a.b = 1", r#"{"a":{"b":1}}"#),
        ("{} | .a[2] = 1", r#"{"a":[null,null,1]}"#),
        (r#"{"a": null} | .a.b.c |= 3"#, r#"{"a":{"b":{"c":3}}}"#),
        (r#"{"n": 1} | .list += ["x"]"#, r#"{"n":1,"list":["x"]}"#),
        ("null | .[1:3]", "null"),
        ("{} | .time[0:10]", "null"),
        (
            r#"{"a": {"b": 1}} | getpath(["x", "y"]), getpath(["a", "b"])"#,
            "null,1",
        ),
        ("[1] | .[5], .[-3], (.[3] = 2)", "null,null,[1,null,null,2]"),
        (
            r#"{"a": 1} | .b //= 2, .a //= 2"#,
            r#"{"a":1,"b":2},{"a":1}"#,
        ),
    ]);
}

#[test]
fn deletions_count_from_the_array_as_it_was() {
    check(&[
        ("[10, 20, 30, 40] | del(.[-1], .[-2])", "[10,20]"),
        ("[1, 2, 3, 4, 5, 6] | del(.[-2:], .[-3])", "[1,2,3]"),
        ("[10, 20, 30, 40] | delpaths([[-1], [-2]])", "[10,20]"),
        ("[0, 1, 2, 3] | del(.[1], .[-3], .[0:1])", "[2,3]"),
        (
            r#"{"a": [{"b": 1, "c": 2}], "d": 3} | del(.a[].b, .d)"#,
            r#"{"a":[{"c":2}]}"#,
        ),
        (
            r#"{"a": 1, "b": 2, "c": 3} | del(.a), (.b |= empty)"#,
            r#"{"b":2,"c":3},{"a":1,"c":3}"#,
        ),
        ("[1, 2, 3, 4] | (.[] | select(. > 2)) |= empty", "[1,2]"),
    ]);
}

#[test]
fn assignments_take_all_that_their_right_side_gives() {
    check(&[
        (
            r#"[{"a": 1} | .b = (1, 2)]"#,
            r#"[{"a":1,"b":1},{"a":1,"b":2}]"#,
        ),
        (r#"[{"a": 1} | .b = empty]"#, "[]"),
        ("[[1, 2] | .[] |= (. * 10, 0)]", "[[10,20]]"),
        (r#"[{"a": 1} | .a += (1, 2)]"#, r#"[{"a":2},{"a":3}]"#),
        ("[[1, 2] | (.[0], .[1]) = (7, 8)]", "[[7,7],[8,8]]"),
        (
            r#"{"a": [1, 2]} | .a[1:] = ["x", "y"] | .a[:1] |= map(. + 1)"#,
            r#"{"a":[2,"x","y"]}"#,
        ),
    ]);
}

#[test]
fn divisions_and_numbers_are_those_of_jq() {
    check(&[
        ("500 / 100, 7 / 2, 1 / 3", "5,3.5,0.3333333333333333"),
        (
            "try (1 / 0) catch ., try (5 % 0) catch .",
            r#""number (1) and number (0) cannot be divided because the divisor is zero","number (5) and number (0) cannot be divided (remainder) because the divisor is zero""#,
        ),
        ("5 % 3, -5 % 3, 5.9 % 3, 5 % -3", "2,-2,2,2"),
        ("1e17 * 10 | tostring", r#""1e+18""#),
        (
            "[1.10, 1e2, 3.0, 1e-5] | map(tostring)",
            r#"["1.10","1E+2","3.0","0.00001"]"#,
        ),
        (
            "[1.10, 1e2, 3.0, 1e-5] | map(. + 0 | tostring)",
            r#"["1.1","100","3","1e-05"]"#,
        ),
        (
            "pow(2; 10), (16 | sqrt), (10 | log10), (-1.5 | abs, floor, ceil, round)",
            "1024,4,1,1.5,-2,-1,-2",
        ),
        (r#""1.50", "-7", "+1", ".5" | tonumber"#, "1.50,-7,1,0.5"),
        (
            r#"try ("0x10" | tonumber) catch ., try (" 1" | tonumber) catch ."#,
            r#""string (\"0x10\") cannot be parsed as a number","string (\" 1\") cannot be parsed as a number""#,
        ),
        (r#"[1, 1.0, "1"] | unique"#, r#"[1,"1"]"#),
        (
            "[3, 1.0, 2, 1] | sort, min, max, index(1)",
            "[1.0,1,2,3],1.0,3,1",
        ),
        (
            "[9007199254740993, 9007199254740992] | unique | length",
            "2",
        ),
    ]);
}

#[test]
fn outputs_are_counted_and_ordered() {
    check(&[
        (
            "[limit(0; 1, 2)], [limit(2; 1, 2, 3)], [skip(1; 1, 2, 3)]",
            "[],[1,2],[2,3]",
        ),
        (
            "try [limit(-1; 1, 2)] catch ., try [skip(-1; 1)] catch .",
            r#""limit doesn't support negative count","skip doesn't support negative count""#,
        ),
        (
            "[nth(1; 5, 6, 7)], [nth(5; 1)], try nth(-1; 1) catch .",
            r#"[6],[],"nth doesn't support negative indices""#,
        ),
        (
            "[first(range(10; 20))], [last(1, 2)], isempty(empty), [until(. > 100; . * 2)?]",
            "[10],[2],true,[]",
        ),
        (
            "[1 | while(. < 20; . * 3)], [range(0, 1; 3, 4)], [range(5; 0; -2)], [range(0; 1; 0)]",
            "[1,3,9],[0,1,2,0,1,2,3,1,2,1,2,3],[5,3,1],[]",
        ),
        (
            r#"[(1, 2) + (10, 20)], [[(1, 2), 3][(0, 1)]], ["\(1, 2)-\(3, 4)"], [pow(2, 3; 1, 2)]"#,
            r#"[11,12,21,22],[1,2],["1-3","2-3","1-4","2-4"],[2,3,4,9]"#,
        ),
        (
            "[{a: (1, 2), b: (3, 4)}]",
            r#"[{"a":1,"b":3},{"a":1,"b":4},{"a":2,"b":3},{"a":2,"b":4}]"#,
        ),
        (
            "any(1, null; .), all(1, null; .), ([false, true] | any, all), add(1, 2), add(empty)",
            "true,false,true,false,3,null",
        ),
    ]);
}

#[test]
fn paths_and_streams_are_those_of_jq() {
    check(&[
        (
            r#"[{"a": [1, {"b": 2}]} | tostream]"#,
            r#"[[["a",0],1],[["a",1,"b"],2],[["a",1,"b"]],[["a",1]],[["a"]]]"#,
        ),
        (
            r#"fromstream({"a": [1, {"b": 2}]} | tostream)"#,
            r#"{"a":[1,{"b":2}]}"#,
        ),
        (
            "[1 | truncate_stream([[0], 1], [[1, 0], 2], [[1, 0]], [[1]])]",
            "[[[0],2],[[0]]]",
        ),
        (
            r#"[{"a": [1], "b": 2} | paths], [{"a": [1], "b": 2} | paths(type == "number")]"#,
            r#"[["a"],["a",0],["b"]],[["a",0],["b"]]"#,
        ),
        (
            r#"[{"a": {"b": 1}, "b": 2} | path(first(.a, .b)), path(.c // .b), path(.. | numbers), path(getpath(["x", 0]))]"#,
            r#"[["a"],["b"],["a","b"],["b"],["x",0]]"#,
        ),
        (
            r#"[[1, [2]] | getpath([1, 0], [5])], ({"a": [1, 2]} | pick(.a[1]), pick(.b))"#,
            r#"[2,null],{"a":[null,2]},{"b":null}"#,
        ),
        (
            "try path(1 | tostring) catch ., try ({} | path([.a][0])) catch .",
            r#""Invalid path expression with result \"1\"","Invalid path expression near attempt to access element 0 of [null]""#,
        ),
        (
            r#"[[3, 4] | path(limit(1; .[]))], [[3, 4] | path(.[1:])], [{"a": 1} | path(if .a then .b else .c end)]"#,
            r#"[[0]],[[{"start":1,"end":null}]],[["b"]]"#,
        ),
    ]);
}

#[test]
fn patterns_have_alternatives() {
    check(&[
        (
            r#"[[1, [2]], {"a": 3}] | [.[] as [$a] ?// {a: $b} | [$a, $b]]"#,
            "[[1,null],[null,3]]",
        ),
        ("[[[1]], 2] | [.[] as [[$a]] ?// $a | $a]", "[1,2]"),
        (
            r#"[[3]] | [.[] as [$a] ?// [$b] | if $a != null then error("first") else {$a, $b} end]"#,
            r#"[{"a":null,"b":3}]"#,
        ),
        (
            r#"{"a": 1, "b": [2, {"c": 3}]} | . as {$a, b: [$x, {$c}]} | [$a, $x, $c]"#,
            "[1,2,3]",
        ),
        (
            r#"{"a": {"b": 1}} | . as {$a: {$b}} | [$a, $b]"#,
            r#"[{"b":1},1]"#,
        ),
        ("[1, 2] | . as [$a, $b, $c] | [$a, $b, $c]", "[1,2,null]"),
        (
            "[1, 2, 3] | reduce .[] as $x (0; . + $x), [foreach .[] as $x (0; . + $x; [$x, .])], [foreach .[] as [$x] (0; 1)?]",
            "6,[[1,1],[2,3],[3,6]],[]",
        ),
    ]);
}

#[test]
fn of_equal_values_a_search_finds_the_one_in_the_middle() {
    check(&[
        (
            "[[1, 1], [1, 1, 1], [1, 1, 1, 1], [0, 1, 1, 1, 1, 2] | bsearch(1)]",
            "[1,1,2,3]",
        ),
        ("[[], [1, 3], [0, 1] | bsearch(2)]", "[-1,-2,-3]"),
    ]);
}

#[test]
fn operators_that_jq_does_not_chain_work_in_parentheses_and_one_after_another() {
    check(&[
        (
            "{} | (.a = 1 // .b = 2), (.a = (.b = 1)), (.a = 1 | .b = 2), (.a = 1 == 2)",
            r#"{"a":1},{"a":{"b":1}},{"a":1,"b":2},{"a":false}"#,
        ),
        (
            "1 == 2 and 3 == 3, (1 < 2) == true, (1 == 1 or 2 == 3)",
            "false,true,true",
        ),
    ]);
}

#[test]
fn messages_are_those_that_a_program_catches() {
    check(&[
        (
            "try ([1] | .a) catch ., try (1 | .[]) catch ., try ({} + 1) catch ., try ({} | .[0]) catch .",
            r#""Cannot index array with string (\"a\")","Cannot iterate over number (1)","object ({}) and number (1) cannot be added","Cannot index object with number (0)""#,
        ),
        (
            r#"try ({"a": "abcdefghijklmnopqrstuvwxyz0123456789"} - 1) catch ."#,
            r#""object ({\"a\":\"abcdefghijklmnopqrs...}) and number (1) cannot be subtracted""#,
        ),
        (
            r#"try error("x") catch ., try error({"a": 1}) catch ., try error(null) catch ., [.a[]?]"#,
            r#""x",{"a":1},null,[]"#,
        ),
        (
            "try ([1, 2, 3] | .[1000000000] = 1) catch ., try ([1] | .[-5] = 1) catch .",
            r#""Array index too large","Out of bounds negative array index""#,
        ),
        (
            r#"try ("abc" | implode) catch ., try ({} | keys | .[0] | ascii_downcase) catch ., try ([] | has("a")) catch ."#,
            r#""implode input must be an array","explode input must be a string","Cannot check whether array has a string key""#,
        ),
        (
            r#"try (1 // error("x")) catch ., try (error("x") // 1) catch ."#,
            r#"1,"x""#,
        ),
        (
            r#"(try error("a") catch .) | . + "!", [.[]? | error]?"#,
            r#""a!",[]"#,
        ),
    ]);
}

#[test]
fn collections_are_sorted_grouped_and_changed() {
    check(&[
        (
            r#"[{"a": 2, "b": 1}, {"a": 1}, {"a": 2, "b": 0}] | sort_by(.a, .b), group_by(.a), unique_by(.a), min_by(.b), max_by(.a)"#,
            r#"[{"a":1},{"a":2,"b":0},{"a":2,"b":1}],[[{"a":1}],[{"a":2,"b":1},{"a":2,"b":0}]],[{"a":1},{"a":2,"b":1}],{"a":1},{"a":2,"b":0}"#,
        ),
        (
            r#"[{"key": "a", "value": 1}, {"name": "b", "Value": 2}, {"Key": "c", "value": null}] | from_entries"#,
            r#"{"a":1,"b":2,"c":null}"#,
        ),
        (
            r#"{"b": 1, "a": 2} | keys, keys_unsorted, to_entries, with_entries(.value += 1), map_values(. + 1), tojson"#,
            r#"["a","b"],["b","a"],[{"key":"b","value":1},{"key":"a","value":2}],{"b":2,"a":3},{"b":2,"a":3},"{\"b\":1,\"a\":2}""#,
        ),
        (
            r#"[1, [2, [3]]] | flatten, flatten(1), [..], walk(if type == "number" then . + 1 else . end)"#,
            "[1,2,3],[1,2,[3]],[[1,[2,[3]]],1,[2,[3]],2,[3],3],[2,[3,[4]]]",
        ),
        (
            "[[1, 2], [3]] | transpose, [combinations], add",
            "[[1,3],[2,null]],[[1,3],[2,3]],[1,2,3]",
        ),
        (
            r#"{"a": {"b": 1}} * {"a": {"c": 2}}, ({"a": 1} + {"a": 2}), ([1, 2, 1] - [1])"#,
            r#"{"a":{"b":1,"c":2}},{"a":2},[2]"#,
        ),
        (
            "[1, 2, 3] | bsearch(2), bsearch(5), contains([1]), inside([1, 2, 3, 4]), IN([1], [1, 2, 3])",
            "1,-4,true,true,true",
        ),
        (
            r#"[{"id": 1}, {"id": 2}] | INDEX(.id), (.[0] | IN({"id": 1}, 2))"#,
            r#"{"1":{"id":1},"2":{"id":2}},true"#,
        ),
        (
            r#"[null, true, 1, "a", [1], {"a": 1}] | map(type), map(length?), sort"#,
            r#"["null","boolean","number","string","array","object"],[0,1,1,1,1],[null,true,1,"a",[1],{"a":1}]"#,
        ),
        (r#""true", true | toboolean"#, "true,true"),
    ]);
}

#[test]
fn operators_bind_as_in_jq() {
    check(&[
        (r#"{"a": 0} | .a = .b // 1"#, r#"{"a":null}"#),
        (r#"{"a": 0} | .a // .b |= 2"#, "0"),
        (r#"{"a": 0} | .a = (.b // 1)"#, r#"{"a":1}"#),
        (r#"{"a": 0} | .c // .a += 1 // 3"#, r#"{"a":1}"#),
        (
            "2 * 7 % 4, 7 % 4 * 2, 20 / 3 * 3 % 7, 1 + 2 * 7 % 4",
            "2,6,6,3",
        ),
        (
            r#"{} | if .x // .y = 1 then .z = 1 // 2 else 0 end"#,
            r#"{"z":1}"#,
        ),
        (
            "reduce (1, 2) as $x (0; . + $x) // 1, -1 + 2, -2 * 3",
            "3,1,-6",
        ),
        ("[.[]?] as [$a] | $a // 1 | . as $x | $x // 2", "1"),
        ("def f: .a = 1 // 2; {} | f", r#"{"a":1}"#),
        ("{if: 1, reduce: 2, as: 3} | {if, as}", r#"{"if":1,"as":3}"#),
        (r#"{a: 1 // 2, "b": null // 3}"#, r#"{"a":1,"b":3}"#),
    ]);
}
