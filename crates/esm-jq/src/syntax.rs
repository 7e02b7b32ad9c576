//! Looking at a program's syntax tree.

use std::collections::BTreeSet;

use jaq_core::load::lex::{StrPart, Tok, Token};
use jaq_core::load::parse::{BinaryOp, Pattern, Term};
use jaq_core::path::Part;

use crate::precedence::parenthesised;

/// Whether it is `.key`.
pub(crate) fn is_key(term: &Term<&str>, wanted: &str) -> bool {
    let Term::Path(base, path) = term else {
        return false;
    };
    matches!(**base, Term::Id)
        && matches!(&path.0[..], [(Part::Index(key), _)] if literal(key).as_deref() == Some(wanted))
}

/// The first key of a path from the event on: `a` of `.a`, `.a.b` and `.a[0]`.
pub(crate) fn first_key(term: &Term<&str>) -> Option<String> {
    let Term::Path(base, path) = term else {
        return None;
    };
    match (&**base, path.0.first()) {
        (Term::Id, Some((Part::Index(key), _))) => literal(key),
        (inner @ Term::Path(..), _) => first_key(inner),
        _ => None,
    }
}

/// `first | second | …`, one by one.
pub(crate) fn stages<'t, 's>(term: &'t Term<&'s str>) -> Vec<&'t Term<&'s str>> {
    match term {
        Term::BinOp(left, BinaryOp::Pipe(None), right) => {
            let mut all = stages(left);
            all.extend(stages(right));
            all
        }
        term => vec![term],
    }
}

pub(crate) fn is_not(term: &Term<&str>) -> bool {
    matches!(term, Term::Call("not", arguments) if arguments.is_empty())
}

/// The text of a string that is no format and has nothing inserted.
pub(crate) fn literal(term: &Term<&str>) -> Option<String> {
    let Term::Str(None, parts) = term else {
        return None;
    };
    let mut text = String::new();
    for part in parts {
        match part {
            StrPart::Str(part) => text.push_str(part),
            StrPart::Char(c) => text.push(*c),
            StrPart::Term(_) => return None,
        }
    }
    Some(text)
}

/// The texts of strings with commas between them.
pub(crate) fn literals(term: &Term<&str>) -> Option<BTreeSet<String>> {
    match term {
        Term::BinOp(left, BinaryOp::Comma, right) => {
            let mut texts = literals(left)?;
            texts.extend(literals(right)?);
            Some(texts)
        }
        term => literal(term).map(|text| BTreeSet::from([text])),
    }
}

/// A part of the program's text that a term has in it: where it begins, mostly.
pub(crate) fn place<'s>(term: &Term<&'s str>) -> Option<&'s str> {
    match term {
        Term::Id | Term::Recurse | Term::Arr(None) => None,
        Term::Num(found) | Term::Break(found) | Term::Var(found) => Some(found),
        Term::Call(found, _) | Term::Label(found, _) | Term::Fold(found, ..) => Some(found),
        Term::Str(Some(found), _) => Some(found),
        Term::Str(None, parts) => parts.iter().find_map(|part| match part {
            StrPart::Str(found) => Some(*found),
            StrPart::Char(_) => None,
            StrPart::Term(term) => place(term),
        }),
        Term::Arr(Some(inner)) | Term::Neg(inner) | Term::TryCatch(inner, _) => place(inner),
        Term::Obj(entries) => entries.iter().find_map(|(key, _)| place(key)),
        Term::BinOp(left, _, right) => place(left).or_else(|| place(right)),
        Term::IfThenElse(branches, _) => branches
            .iter()
            .find_map(|(condition, then)| place(condition).or_else(|| place(then))),
        Term::Def(_, body) => place(body),
        Term::Path(base, path) => place(base).or_else(|| {
            path.0.iter().find_map(|(part, _)| match part {
                Part::Index(key) => place(key),
                Part::Range(from, to) => from.iter().chain(to).find_map(place),
            })
        }),
    }
}

/// The key of a pattern that has all alternatives of `p ?// q` in it, which the parser does not know.
const ALTERNATIVES: &str = "__esm_alternatives";

/// The alternatives of a pattern: itself, mostly.
pub(crate) fn alternatives<'t, 's>(pattern: &'t Pattern<&'s str>) -> Vec<&'t Pattern<&'s str>> {
    match pattern {
        Pattern::Obj(entries) => match &entries[..] {
            [(key, Pattern::Arr(all))] if literal(key).as_deref() == Some(ALTERNATIVES) => {
                all.iter().collect()
            }
            _ => vec![pattern],
        },
        _ => vec![pattern],
    }
}

/// Gives a program a form that the parser knows: `p ?// q` becomes `{"…": [p, q]}`, `{$a: p}` becomes
/// `{$a, a: p}`, `.5` one token, and `reduce a / b as …` becomes `reduce (a / b) as …`.
pub(crate) fn rewrite<'s>(code: &'s str, tokens: Vec<Token<&'s str>>) -> Vec<Token<&'s str>> {
    let tokens = tokens
        .into_iter()
        .map(|token| inside(code, token))
        .collect();
    parenthesised(patterns(sources(fractions(code, tokens))))
}

/// `.` and digits right behind it are a number.
fn fractions<'s>(code: &'s str, tokens: Vec<Token<&'s str>>) -> Vec<Token<&'s str>> {
    let mut rewritten: Vec<Token<&'s str>> = Vec::with_capacity(tokens.len());
    let start = |text: &str| (text.as_ptr() as usize).wrapping_sub(code.as_ptr() as usize);
    for token in tokens {
        if let (Some(Token(dot @ ".", Tok::Sym)), Tok::Num) = (rewritten.last(), &token.1)
            && start(dot).wrapping_add(1) == start(token.0)
            && let Some(number) = code.get(start(dot)..start(token.0) + token.0.len())
        {
            rewritten.pop();
            rewritten.push(Token(number, Tok::Num));
        } else {
            rewritten.push(token);
        }
    }
    rewritten
}

/// What `reduce` and `foreach` loop over is in parentheses.
fn sources<'s>(tokens: Vec<Token<&'s str>>) -> Vec<Token<&'s str>> {
    let mut rewritten: Vec<Token<&'s str>> = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let loops = matches!(token, Token("reduce" | "foreach", Tok::Word));
        rewritten.push(token);
        if !loops {
            continue;
        }
        let (mut source, mut open) = (Vec::new(), 0_usize);
        while let Some(token) = tokens.next_if(|token| open > 0 || token.0 != "as") {
            match token.0 {
                "if" | "reduce" | "foreach" => open += 1,
                "end" | "as" => open = open.saturating_sub(1),
                _ => {}
            }
            source.push(token);
        }
        if source.len() > 1 && tokens.peek().is_some() {
            let mut source = sources(source);
            source.push(Token(")", Tok::Sym));
            rewritten.push(Token("(", Tok::Block(source)));
        } else {
            rewritten.append(&mut source);
        }
    }
    rewritten
}

fn patterns<'s>(tokens: Vec<Token<&'s str>>) -> Vec<Token<&'s str>> {
    let mut rewritten: Vec<Token<&'s str>> = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let is_as = matches!(token, Token("as", Tok::Word));
        rewritten.push(token);
        if !is_as {
            continue;
        }
        let Some(first) = tokens.next() else { break };
        let mut all = vec![pattern(first)];
        while tokens.peek().is_some_and(|token| token.0 == "?") {
            let question = tokens.next();
            if tokens.peek().is_none_or(|token| token.0 != "//") {
                rewritten.extend(question);
                break;
            }
            tokens.next();
            all.extend(tokens.next().map(pattern));
        }
        if all.len() == 1 {
            rewritten.append(&mut all);
        } else {
            rewritten.push(all_of(all));
        }
    }
    rewritten
}

/// The same in the blocks and the texts of a token.
fn inside<'s>(code: &'s str, Token(text, tok): Token<&'s str>) -> Token<&'s str> {
    let tok = match tok {
        Tok::Block(tokens) if text.starts_with('{') => Tok::Block(rewrite(code, keys(tokens))),
        Tok::Block(tokens) => Tok::Block(rewrite(code, tokens)),
        Tok::Str(parts) => Tok::Str(
            parts
                .into_iter()
                .map(|part| match part {
                    StrPart::Term(token) => StrPart::Term(inside(code, token)),
                    other => other,
                })
                .collect(),
        ),
        other => other,
    };
    Token(text, tok)
}

/// Keys of an object that are keywords are texts: `{if: 1}` is `{"if": 1}`.
fn keys<'s>(tokens: Vec<Token<&'s str>>) -> Vec<Token<&'s str>> {
    let mut result: Vec<Token<&'s str>> = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(Token(text, tok)) = tokens.next() {
        let begins = result.last().is_none_or(|before| before.0 == ",");
        let ends = tokens
            .peek()
            .is_some_and(|next| [":", ",", "}"].contains(&next.0));
        let tok = match tok {
            Tok::Word if begins && ends && !text.contains("::") => {
                Tok::Str(vec![StrPart::Str(text)])
            }
            tok => tok,
        };
        result.push(Token(text, tok));
    }
    result
}

/// A pattern in which `{$a: p}` is `{$a, a: p}`.
fn pattern(Token(text, tok): Token<&str>) -> Token<&str> {
    let Tok::Block(tokens) = tok else {
        return Token(text, tok);
    };
    let mut rewritten = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let nested = !token.0.starts_with('(');
        let token = if nested { pattern(token) } else { token };
        let names = matches!(token, Token(_, Tok::Var)) && text.starts_with('{');
        let name = token.0;
        rewritten.push(token);
        if names && tokens.peek().is_some_and(|token| token.0 == ":") {
            rewritten.push(Token(",", Tok::Sym));
            rewritten.push(Token(&name[1..], Tok::Word));
        }
    }
    Token(text, Tok::Block(rewritten))
}

fn all_of(patterns: Vec<Token<&str>>) -> Token<&str> {
    let mut list = Vec::new();
    for (at, pattern) in patterns.into_iter().enumerate() {
        if at > 0 {
            list.push(Token(",", Tok::Sym));
        }
        list.push(pattern);
    }
    list.push(Token("]", Tok::Sym));
    let key = Token(ALTERNATIVES, Tok::Str(vec![StrPart::Str(ALTERNATIVES)]));
    let tokens = vec![
        key,
        Token(":", Tok::Sym),
        Token("[", Tok::Block(list)),
        Token("}", Tok::Sym),
    ];
    Token("{", Tok::Block(tokens))
}

/// Hands over a term and all that it is made of.
pub(crate) fn each<'t, 's>(term: &'t Term<&'s str>, see: &mut dyn FnMut(&'t Term<&'s str>)) {
    see(term);
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => {}
        Term::Str(_, parts) => {
            for part in parts {
                if let StrPart::Term(term) = part {
                    each(term, see);
                }
            }
        }
        Term::Arr(inner) => inner.iter().for_each(|term| each(term, see)),
        Term::Obj(entries) => {
            for (key, value) in entries {
                each(key, see);
                value.iter().for_each(|term| each(term, see));
            }
        }
        Term::Neg(inner) | Term::Label(_, inner) => each(inner, see),
        Term::BinOp(left, op, right) => {
            each(left, see);
            if let BinaryOp::Pipe(Some(pattern)) = op {
                each_in(pattern, see);
            }
            each(right, see);
        }
        Term::Fold(_, source, pattern, arguments) => {
            each(source, see);
            each_in(pattern, see);
            arguments.iter().for_each(|term| each(term, see));
        }
        Term::TryCatch(body, catch) => {
            each(body, see);
            catch.iter().for_each(|term| each(term, see));
        }
        Term::IfThenElse(branches, otherwise) => {
            for (condition, then) in branches {
                each(condition, see);
                each(then, see);
            }
            otherwise.iter().for_each(|term| each(term, see));
        }
        Term::Def(defs, body) => {
            defs.iter().for_each(|def| each(&def.body, see));
            each(body, see);
        }
        Term::Call(_, arguments) => arguments.iter().for_each(|term| each(term, see)),
        Term::Path(base, path) => {
            each(base, see);
            for (part, _) in &path.0 {
                match part {
                    Part::Index(index) => each(index, see),
                    Part::Range(from, to) => {
                        from.iter().chain(to).for_each(|term| each(term, see));
                    }
                }
            }
        }
    }
}

fn each_in<'t, 's>(pattern: &'t Pattern<&'s str>, see: &mut dyn FnMut(&'t Term<&'s str>)) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(inner) => inner.iter().for_each(|pattern| each_in(pattern, see)),
        Pattern::Obj(entries) => {
            for (key, pattern) in entries {
                each(key, see);
                each_in(pattern, see);
            }
        }
    }
}
