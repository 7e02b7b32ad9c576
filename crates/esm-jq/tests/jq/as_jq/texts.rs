//! Texts, regular expressions, formats and dates, as jq 1.8 has them.

use super::check;

#[test]
fn texts_are_joined_split_and_trimmed() {
    check(&[
        (r#"["Anna", null, "Meier"] | join(" ")"#, r#""Anna  Meier""#),
        (r#"[1, true, null, "a"] | join("-")"#, r#""1-true--a""#),
        (r#"[] | join(",")"#, r#""""#),
        (
            r#"try ([[1]] | join(",")) catch ."#,
            r#""string (\"\") and array ([1]) cannot be added""#,
        ),
        (
            r#""a, b,c" | split(","), split(", *"; null), [splits(",")]"#,
            r#"["a"," b","c"],["a","b","c"],["a"," b","c"]"#,
        ),
        (
            r#""" | split(","), ("abc" | split(""))"#,
            r#"[],["a","b","c"]"#,
        ),
        (
            r#""aba" | ltrimstr("a"), rtrimstr("a"), trimstr("a"), ltrimstr("x")"#,
            r#""ba","ab","b","aba""#,
        ),
        (
            r#"try (1 | ltrimstr("a")) catch ."#,
            r#""startswith() requires string inputs""#,
        ),
        (
            r#""\u00a0x\u2003" | trim, ltrim, rtrim"#,
            r#""x","x "," x""#,
        ),
        (
            r#""abcabc" | indices("bc"), index("c"), rindex("a"), index("z")"#,
            "[1,4],2,3,null",
        ),
        (r#""ab" * 2, "ab" * 0, "ab" * -1"#, r#""abab","",null"#),
        (
            r#""x" | ascii_downcase, ascii_upcase, explode, ([65, 128512] | implode)"#,
            r#""x","X",[120],"A😀""#,
        ),
    ]);
}

#[test]
fn regular_expressions_know_unicode_and_groups() {
    check(&[
        (r#""Zoë MÜLLER!" | gsub("[^\\w ]"; "")"#, r#""Zoë MÜLLER""#),
        (r#""é" | test("^\\w+$"), test("É"; "i")"#, "true,true"),
        (r#""Łukasz Ćwik" | test("^[\\p{L} ]+$")"#, "true"),
        (r#""x٣" | [match("\\d").string]"#, r#"["٣"]"#),
        (
            r#""aé" | [match("é").offset], [match("[[:alpha:]]+").length]"#,
            "[1],[2]",
        ),
        (
            r#""price: 12 EUR" | capture("(?<n>[0-9]+)(?<c>,[0-9]+)? (?<u>EUR|USD)")"#,
            r#"{"n":"12","c":null,"u":"EUR"}"#,
        ),
        (
            r#""ab" | [capture("(?<x>a)|(?<y>b)"; "g")]"#,
            r#"[{"x":"a","y":null},{"x":null,"y":"b"}]"#,
        ),
        (
            r#""aab" | [match("(a)(c)?"; "g") | .captures[] | .string]"#,
            r#"["a",null,"a",null]"#,
        ),
        (
            r#""foobar" | test("foo(?=bar)"), test("(?<!foo)bar"), sub("(?<x>o+)"; "<\(.x)>")"#,
            r#"true,false,"f<oo>bar""#,
        ),
        (
            r#""abab" | [sub("b"; "x", "y")], gsub("(?<l>[ab])"; "\(.l)."), gsub(""; "-"), gsub("^"; ">")"#,
            r#"["axab","ayab"],"a.b.a.b.","-a-b-a-b-",">abab""#,
        ),
        (
            r#""a\nb" | test("a$"), test("^b"), test("a.b"), test("a.b"; "p")"#,
            "false,false,false,true",
        ),
        (
            r#""aAa" | [scan("a"; "i")], [scan("(a)(A)?")], [match("a"; "g").offset]"#,
            r#"["a","A","a"],[["a","A"],["a",null]],[0,2]"#,
        ),
    ]);
}

#[test]
fn formats_write_what_jq_writes() {
    check(&[
        (
            r#"[1, "a\"b", null, true, 1.5] | @csv, @tsv"#,
            r#""1,\"a\"\"b\",,true,1.5","1\ta\"b\t\ttrue\t1.5""#,
        ),
        (r#"["a\tb\\c\nd"] | @tsv"#, r#""a\\tb\\\\c\\nd""#),
        (
            r#""it's <b>&\"" | @html, @sh, @uri, @base64, @json"#,
            r#""it&apos;s &lt;b&gt;&amp;&quot;","'it'\\''s <b>&\"'","it%27s%20%3Cb%3E%26%22","aXQncyA8Yj4mIg==","\"it's <b>&\\\"\"""#,
        ),
        (r#""%C3%BC%20" | @urid"#, r#""ü ""#),
        (r#""Zm9vYg" | @base64d"#, r#""foob""#),
        (r#"[1, "a b"] | @sh, @text"#, r#""1 'a b'","[1,\"a b\"]""#),
        (
            r#"@json "x: \("a")", @csv "\([1, "b"])""#,
            r#""x: \"a\"","1,\"b\"""#,
        ),
        (
            r#"try ([[1]] | @csv) catch ., try ({} | @sh) catch ., try ("*" | @base64d) catch ."#,
            r#""array ([1]) is not valid in a csv row","object ({}) can not be escaped for shell","string (\"*\") is not valid base64 data""#,
        ),
    ]);
}

#[test]
fn dates_are_in_utc_and_whole_seconds() {
    check(&[
        (
            "1425599621 | todate, gmtime",
            r#""2015-03-05T23:53:41Z",[2015,2,5,23,53,41,4,63]"#,
        ),
        ("1425599621.678 | todate", r#""2015-03-05T23:53:41Z""#),
        (
            r#""2015-03-05T23:51:47Z" | fromdate, strptime("%Y-%m-%dT%H:%M:%SZ")"#,
            "1425599507,[2015,2,5,23,51,47,4,63]",
        ),
        (
            r#"1425599621 | strftime("%A, %d %B %Y; %j %U %V %u %I %p %e %y %s")"#,
            r#""Thursday, 05 March 2015; 064 09 10 4 11 PM  5 15 1425599621""#,
        ),
        (
            "[[], [2024], [2024, 1], [2024, 13, 40, 25, 61, 61] | mktime]",
            "[-2209075200,1703980800,1706659200,1741831321]",
        ),
        (
            r#"[[], [2024, 1, 40], [2024, 13, 1, 0, 0, 0, 9, 9] | strftime("%F %A %j")]"#,
            r#"["1899-12-31 Sunday 365","2024-03-11 Monday 071","2025-02-01 Saturday 032"]"#,
        ),
        (
            "[-0.5, -1.5, -86400.25 | gmtime]",
            "[[1970,0,1,0,0,0.5,4,0],[1969,11,31,23,59,59.5,3,364],[1969,11,31,0,0,0.75,3,364]]",
        ),
        (
            "[2024, 1, 29, 10, 5, 6] | mktime, todate",
            r#"1709201106,"2024-02-29T10:05:06Z""#,
        ),
        (
            r#""10:20 5 Mar 2015" | strptime("%H:%M %d %b %Y") | mktime"#,
            "1425550800",
        ),
        (
            r#"try ("5 March" | fromdate) catch ."#,
            r#""date \"5 March\" does not match format \"%Y-%m-%dT%H:%M:%SZ\"""#,
        ),
    ]);
}

#[test]
fn what_is_no_utf_8_is_replaced_as_jq_does() {
    check(&[(
        r#"["null", "6WVl", "8J+Y", "8J+YYQ==", "YYCAYg==", "wIA=", "7aCA", "9JCAgA==", "4oJh", "8ICAgGE="
            | @base64d | explode]"#,
        "[[65533,65533],[65533,101,101],[65533],[65533,97],[97,65533,65533,98],[65533,65533],[65533],[65533],[65533,97],[65533,97]]",
    )]);
}
