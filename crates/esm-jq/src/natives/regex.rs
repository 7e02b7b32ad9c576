//! Regular expressions: those of Oniguruma, as far as the engine knows them.

use std::cell::RefCell;
use std::rc::Rc;

use fancy_regex::{Regex, RegexBuilder};

use super::{Native, native};
use crate::budget::Budget;
use crate::fail::{Exit, Fail};
use crate::value::{Map, Text, Val};

/// How many expressions a thread keeps compiled.
const KEPT: usize = 64;

/// What an expression may try for one match, and what it may take once compiled.
const MOST_TRIES: usize = 1_000_000;
const MOST_BYTES: usize = 8 << 20;

pub(super) const ALL: &[Native] = &[
    native("test", 1, |_, input, arguments| {
        let (pattern, flags) = pair(&arguments[0])?;
        test(&input, &pattern, &flags)
    }),
    native("test", 2, |_, input, arguments| {
        test(&input, &arguments[0], &arguments[1])
    }),
    native("__matches", 1, |budget, input, arguments| {
        let (pattern, flags) = pair(&arguments[0])?;
        all(budget, &input, &pattern, &flags)
    }),
    native("__split", 2, |budget, input, arguments| {
        split(budget, &input, &arguments[0], &arguments[1])
    }),
    native("__matches", 2, |budget, input, arguments| {
        all(budget, &input, &arguments[0], &arguments[1])
    }),
];

/// A pattern, or an array of a pattern and flags.
fn pair(argument: &Val) -> Result<(Val, Val), Fail> {
    match argument {
        Val::Str(_) => Ok((argument.clone(), Val::Null)),
        Val::Arr(pair) if !pair.is_empty() => {
            Ok((pair[0].clone(), pair.get(1).cloned().unwrap_or_default()))
        }
        other => {
            let kind = other.type_name();
            Err(Fail::text(format!("{kind} not a string or array")))
        }
    }
}

fn test(input: &Val, pattern: &Val, flags: &Val) -> Result<Val, Exit> {
    let mut found = false;
    find(input, pattern, flags, &mut |_| {
        found = true;
        Ok(false)
    })?;
    Ok(found.into())
}

fn all(budget: &Budget, input: &Val, pattern: &Val, flags: &Val) -> Result<Val, Exit> {
    let matches = matches(budget, input, pattern, flags)?;
    Ok(matches
        .into_iter()
        .map(|found| found.value)
        .collect::<Vec<_>>()
        .into())
}

/// What is between the matches.
fn split(budget: &Budget, input: &Val, pattern: &Val, flags: &Val) -> Result<Val, Exit> {
    let matches = matches(budget, input, pattern, flags)?;
    let Val::Str(text) = input else {
        return Ok(Val::Null);
    };
    let part = |from: usize, to: usize| {
        let part = text.get(from..to).unwrap_or_default();
        Val::Str(part.to_vec().into())
    };
    let mut from = 0;
    let mut parts: Vec<Val> = Vec::with_capacity(matches.len() + 1);
    for found in matches {
        parts.push(part(from, found.from));
        from = found.to;
    }
    parts.push(part(from, text.len()));
    Ok(parts.into())
}

/// A match, and where it is in bytes.
pub(crate) struct Match {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// `{offset, length, string, captures}`.
    pub(crate) value: Val,
}

/// All matches; the first one without the flag `g`.
pub(crate) fn matches(
    budget: &Budget,
    input: &Val,
    pattern: &Val,
    flags: &Val,
) -> Result<Vec<Match>, Exit> {
    let mut matches = Vec::new();
    find(input, pattern, flags, &mut |found| {
        budget.make((found.captures.len() * size_of::<Map>()) as u64)?;
        matches.push(found.into_match());
        Ok(true)
    })?;
    Ok(matches)
}

/// A match as the engine gives it: its captures, the whole match among them, in bytes.
struct Found<'t> {
    text: &'t str,
    names: &'t [Option<Text>],
    captures: Vec<Option<(usize, usize)>>,
    /// A byte before the match, and how many characters there are before it.
    known: (usize, usize),
}

impl Found<'_> {
    fn into_match(self) -> Match {
        let (from, to) = self.captures[0].unwrap_or_default();
        let mut map = self.span(Some((from, to)));
        let captures = self.captures.iter().zip(self.names).skip(1);
        let captures: Vec<Val> = captures
            .map(|(capture, name)| {
                let mut map = self.span(*capture);
                let name = name.clone().map_or(Val::Null, Val::Str);
                map.insert("name".into(), name);
                Val::obj(map)
            })
            .collect();
        map.insert("captures".into(), captures.into());
        Match {
            from,
            to,
            value: Val::obj(map),
        }
    }

    fn span(&self, span: Option<(usize, usize)>) -> Map {
        let mut map = Map::default();
        let Some((from, to)) = span else {
            map.insert("offset".into(), Val::int(-1));
            map.insert("length".into(), Val::int(0));
            map.insert("string".into(), Val::Null);
            return map;
        };
        let (byte, before) = self.known;
        let offset = match self.text.get(byte..from) {
            Some(between) => before + between.chars().count(),
            // a look-behind captured it
            None => self.text[..from].chars().count(),
        };
        let string = &self.text[from..to];
        map.insert("offset".into(), Val::int(offset as i64));
        map.insert("length".into(), Val::int(string.chars().count() as i64));
        map.insert("string".into(), string.into());
        map
    }
}

/// Hands over matches as long as that asks for more.
fn find(
    input: &Val,
    pattern: &Val,
    flags: &Val,
    see: &mut dyn FnMut(Found<'_>) -> Result<bool, Exit>,
) -> Result<(), Exit> {
    let Val::Str(text) = input else {
        let what = "cannot be matched, as it is not a string";
        return Err(Fail::one(input.clone(), what).into());
    };
    let Val::Str(pattern) = pattern else {
        return Err(Fail::one(pattern.clone(), "is not a string").into());
    };
    let flags = Flags::of(flags)?;
    let expression = compiled(&pattern.to_str(), flags)?;
    let text = text.to_str();
    let (mut at, mut known) = (0, (0, 0));
    loop {
        let captures = expression.regex.captures_from_pos(&*text, at);
        let captures = captures.map_err(|_| Fail::text("Regex failure: it takes too long"))?;
        let Some(captures) = captures else {
            return Ok(());
        };
        let span = |found: Option<fancy_regex::Match<'_>>| found.map(|m| (m.start(), m.end()));
        let spans: Vec<_> = (0..captures.len())
            .map(|group| span(captures.get(group)))
            .collect();
        let (from, to) = spans[0].unwrap_or_default();
        if let Some(between) = text.get(known.0..from) {
            known = (from, known.1 + between.chars().count());
        }
        let found = Found {
            text: &text,
            names: &expression.names,
            captures: spans,
            known,
        };
        if !see(found)? || !flags.global {
            return Ok(());
        }
        at = match text[to..].chars().next() {
            Some(next) if from == to => to + next.len_utf8(),
            None if from == to => return Ok(()),
            _ => to,
        };
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Flags {
    global: bool,
    ignore_case: bool,
    extended: bool,
    dot_all: bool,
    not_empty: bool,
    longest: bool,
}

impl Flags {
    fn of(flags: &Val) -> Result<Self, Fail> {
        let text = match flags {
            Val::Null => return Ok(Self::default()),
            Val::Str(text) => text.to_str(),
            other => return Err(Fail::one(other.clone(), "is not a string")),
        };
        let mut read = Self::default();
        for flag in text.chars() {
            match flag {
                'g' => read.global = true,
                'i' => read.ignore_case = true,
                'x' => read.extended = true,
                'n' => read.not_empty = true,
                'p' => read.dot_all = true,
                'l' => read.longest = true,
                // the beginning and the end are those of the text anyway
                's' => {}
                _ => {
                    let message = format!("{text} is not a valid modifier string");
                    return Err(Fail::said(message, "a string is no valid modifier string"));
                }
            }
        }
        Ok(read)
    }
}

struct Expression {
    pattern: String,
    flags: Flags,
    regex: Regex,
    names: Vec<Option<Text>>,
}

thread_local! {
    static COMPILED: RefCell<Vec<Rc<Expression>>> = const { RefCell::new(Vec::new()) };
}

/// The expression, compiled now or before.
fn compiled(pattern: &str, flags: Flags) -> Result<Rc<Expression>, Fail> {
    let flags = Flags {
        global: false,
        ..flags
    };
    COMPILED.with_borrow_mut(|compiled| {
        let known = compiled
            .iter()
            .position(|e| e.flags == flags && e.pattern == pattern);
        if let Some(at) = known {
            compiled[..=at].rotate_right(1);
            return Ok(Rc::clone(&compiled[0]));
        }
        let expression = Rc::new(build(pattern, flags)?);
        compiled.truncate(KEPT - 1);
        compiled.insert(0, Rc::clone(&expression));
        Ok(expression)
    })
}

fn build(pattern: &str, flags: Flags) -> Result<Expression, Fail> {
    let failed = |what: String| {
        Fail::said(
            format!("Regex failure: {what}"),
            "a string is no regular expression that can be used",
        )
    };
    let translated = translate(pattern).map_err(failed)?;
    let mut builder = RegexBuilder::new(&translated);
    builder
        .oniguruma_mode(true)
        .case_insensitive(flags.ignore_case)
        .verbose_mode(flags.extended)
        .dot_matches_new_line(flags.dot_all)
        .find_not_empty(flags.not_empty)
        .leftmost_longest(flags.longest)
        .backtrack_limit(MOST_TRIES)
        .delegate_size_limit(MOST_BYTES);
    let regex = builder.build().map_err(|e| failed(e.to_string()))?;
    let names = regex.capture_names();
    let names = names.map(|name| name.map(Text::from)).collect();
    Ok(Expression {
        pattern: pattern.to_owned(),
        flags,
        regex,
        names,
    })
}

/// Whether a regular expression can be used.
///
/// # Errors
/// Why it cannot.
pub(crate) fn check(pattern: &str) -> Result<(), String> {
    match build(pattern, Flags::default()) {
        Ok(_) => Ok(()),
        Err(fail) => {
            let message = match fail.into_value() {
                Val::Str(message) => message.to_str().into_owned(),
                other => crate::value::message(&other),
            };
            let what = message.strip_prefix("Regex failure: ").unwrap_or(&message);
            Err(format!("the regular expression cannot be used: {what}"))
        }
    }
}

/// The classes of POSIX, as Unicode has them: what each is inside of brackets, and its complement.
const CLASSES: [(&str, &str, &str); 13] = [
    (
        "alnum",
        "\\p{Alphabetic}\\p{M}\\p{Nd}",
        "^\\p{Alphabetic}\\p{M}\\p{Nd}",
    ),
    ("alpha", "\\p{Alphabetic}", "^\\p{Alphabetic}"),
    ("blank", "\\p{Zs}\\t", "^\\p{Zs}\\t"),
    ("cntrl", "\\p{Cc}", "^\\p{Cc}"),
    ("digit", "\\p{Nd}", "^\\p{Nd}"),
    (
        "graph",
        "^\\s\\p{Cc}\\p{Cs}\\p{Cn}",
        "\\s\\p{Cc}\\p{Cs}\\p{Cn}",
    ),
    ("lower", "\\p{Lowercase}", "^\\p{Lowercase}"),
    ("print", "^\\p{Cc}\\p{Cs}\\p{Cn}", "\\p{Cc}\\p{Cs}\\p{Cn}"),
    ("punct", "\\p{P}$+<=>^`|~", "^\\p{P}$+<=>^`|~"),
    ("space", "\\s", "^\\s"),
    ("upper", "\\p{Uppercase}", "^\\p{Uppercase}"),
    ("word", "\\w", "^\\w"),
    ("xdigit", "0-9a-fA-F", "^0-9a-fA-F"),
];

/// Writes what the engine reads otherwise in its own way: `$`, the classes of POSIX, and `{,`.
fn translate(pattern: &str) -> Result<String, String> {
    let mut translated = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut brackets = 0;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '\\' => c.len_utf8() + rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => c.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        match token {
            "[" if brackets > 0 && rest.starts_with(':') => {
                let (class, after) = posix(rest)?;
                translated.push_str(&class);
                rest = after;
                continue;
            }
            "[" => {
                brackets += 1;
                translated.push('[');
                // a bracket that is first is itself
                for first in ["^", "]"] {
                    if let Some(after) = rest.strip_prefix(first) {
                        translated.push_str(if first == "]" { "\\]" } else { first });
                        rest = after;
                    }
                }
                continue;
            }
            "]" if brackets > 0 => brackets -= 1,
            "$" if brackets == 0 => {
                translated.push_str("(?=\\n?\\z)");
                continue;
            }
            "\\Z" if brackets == 0 => {
                translated.push_str("(?=\\n?\\z)");
                continue;
            }
            "{" if brackets == 0 && rest.starts_with(',') => {
                translated.push_str("\\{");
                continue;
            }
            "(" if brackets == 0 && multi_line(rest) => {
                return Err(
                    "the option (?m) is not available; write (?s), or the flag \"p\"".to_owned(),
                );
            }
            _ => {}
        }
        translated.push_str(token);
    }
    Ok(translated)
}

/// Whether an option `m` begins behind a parenthesis.
fn multi_line(rest: &str) -> bool {
    let Some(options) = rest.strip_prefix('?') else {
        return false;
    };
    let end = options
        .find(|c: char| !c.is_ascii_lowercase())
        .unwrap_or(options.len());
    options[..end].contains('m')
}

fn posix(rest: &str) -> Result<(String, &str), String> {
    let end = rest.find(":]").ok_or("`[:` is not closed")?;
    let name = &rest[1..end];
    let (name, negated) = match name.strip_prefix('^') {
        Some(name) => (name, true),
        None => (name, false),
    };
    let known = CLASSES.iter().find(|(known, ..)| *known == name);
    let (_, class, others) = known.ok_or_else(|| format!("no class of characters: {name}"))?;
    let class = if negated { others } else { class };
    Ok((format!("[{class}]"), &rest[end + 2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_translated() {
        for (pattern, expected) in [
            ("a$", "a(?=\\n?\\z)"),
            ("[$]\\$", "[$]\\$"),
            ("[[:digit:]x]", "[[\\p{Nd}]x]"),
            ("[[:^space:]]", "[[^\\s]]"),
            ("[]a]", "[\\]a]"),
            ("a{,2}", "a\\{,2}"),
        ] {
            assert_eq!(translate(pattern).as_deref(), Ok(expected), "{pattern}");
        }
        assert!(translate("(?im)a").is_err());
        assert!(translate("[[:nope:]]").is_err());
    }

    #[test]
    fn an_expression_that_takes_long_is_an_error() {
        let text = Val::from("a".repeat(60));
        let found = test(&text, &"^(a|aa)+\\1x".into(), &Val::Null);
        assert!(matches!(found, Err(Exit::Fail(_))), "{found:?}");
    }
}
