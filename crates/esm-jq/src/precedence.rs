//! Operators that bind otherwise in jq than in the parser: parentheses say so.
//!
//! In jq, `.a = .b // 1` is `(.a = .b) // 1`, and `2 * 7 % 4` is `(2 * 7) % 4`. `.a = .b = 1` and
//! `1 < 2 < 3` are nothing.

use jaq_core::load::lex::{Tok, Token};

type Tokens<'s> = Vec<Token<&'s str>>;

/// What ends a term in which operators bind more tightly.
const SEPARATORS: [&str; 7] = ["|", ",", ";", ":", "as", "def", "label"];

const ASSIGNMENTS: [&str; 8] = ["=", "|=", "+=", "-=", "*=", "/=", "%=", "//="];

const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

/// What ends a product.
const LOOSER: [&str; 11] = [
    "+", "-", "==", "!=", "<", "<=", ">", ">=", "and", "or", "//",
];

/// Puts parentheses around what binds more tightly in jq, in one list of tokens.
pub(crate) fn parenthesised<'s>(tokens: Tokens<'s>) -> Tokens<'s> {
    let mut result = Vec::with_capacity(tokens.len());
    let mut term = Vec::new();
    for token in conditions(tokens) {
        let closes = matches!(token, Token(")" | "]" | "}", Tok::Sym));
        if closes || is_one_of(&token, &SEPARATORS) {
            result.append(&mut assignments(std::mem::take(&mut term)));
            result.push(token);
        } else {
            term.push(token);
        }
    }
    result.append(&mut assignments(term));
    result
}

fn is_one_of(token: &Token<&str>, words: &[&str]) -> bool {
    matches!(token, Token(text, Tok::Sym | Tok::Word) if words.contains(text))
}

/// Makes one token of `if … end`, and of `reduce … (…)`.
fn conditions<'s>(tokens: Tokens<'s>) -> Tokens<'s> {
    let mut result: Tokens<'s> = Vec::with_capacity(tokens.len());
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            Token("if", Tok::Word) => {
                let mut unit = vec![token];
                unit.append(&mut until_end(&mut tokens));
                // what is not closed is left as it is, for the parser to say so
                if matches!(unit.last(), Some(Token("end", Tok::Word))) {
                    result.push(block(unit));
                } else {
                    result.append(&mut unit);
                }
            }
            Token("reduce" | "foreach", Tok::Word) => {
                let mut unit = vec![token];
                // the source is one token or a path; the arguments are behind the pattern
                let (mut bound, mut closed) = (false, false);
                for token in tokens.by_ref() {
                    closed = bound && token.0.starts_with('(');
                    bound |= matches!(token, Token("as", Tok::Word));
                    unit.push(token);
                    if closed {
                        break;
                    }
                }
                if closed {
                    result.push(block(unit));
                } else {
                    result.append(&mut unit);
                }
            }
            token => result.push(token),
        }
    }
    result
}

/// The tokens up to the end of an `if`, with parentheses between its keywords.
fn until_end<'s>(tokens: &mut impl Iterator<Item = Token<&'s str>>) -> Tokens<'s> {
    let mut result = Vec::new();
    let mut part = Vec::new();
    let mut open = 0;
    for token in tokens {
        match token {
            Token("if", Tok::Word) => open += 1,
            Token("end", Tok::Word) if open > 0 => open -= 1,
            Token("then" | "elif" | "else" | "end", Tok::Word) if open == 0 => {
                result.append(&mut parenthesised(std::mem::take(&mut part)));
                let ends = token.0 == "end";
                result.push(token);
                if ends {
                    return result;
                }
                continue;
            }
            _ => {}
        }
        part.push(token);
    }
    result.append(&mut part);
    result
}

fn block(mut tokens: Tokens<'_>) -> Token<&str> {
    tokens.push(Token(")", Tok::Sym));
    Token("(", Tok::Block(tokens))
}

/// Assignments bind more tightly than `//`.
fn assignments<'s>(term: Tokens<'s>) -> Tokens<'s> {
    let term = unchained(term);
    let assigns = |token: &Token<&str>| is_one_of(token, &ASSIGNMENTS);
    let alternative = |token: &Token<&str>| is_one_of(token, &["//"]);
    let both = term.iter().any(assigns) && term.iter().any(alternative);
    let mut result = Vec::with_capacity(term.len());
    let mut part = Vec::new();
    let close = |part: &mut Tokens<'s>, result: &mut Tokens<'s>| {
        let part = std::mem::take(part);
        let wrap = both && part.iter().any(assigns);
        let part = products(part);
        if wrap {
            result.push(block(part));
        } else {
            result.extend(part);
        }
    };
    for token in term {
        if alternative(&token) {
            close(&mut part, &mut result);
            result.push(token);
        } else {
            part.push(token);
        }
    }
    close(&mut part, &mut result);
    result
}

/// Writes an operator twice that jq does not take a second time without parentheses: an assignment or
/// a comparison. So the parser refuses it, and shows its place.
fn unchained<'s>(term: Tokens<'s>) -> Tokens<'s> {
    let (mut assigned, mut compared) = (false, false);
    let mut result = Vec::with_capacity(term.len());
    for token in term {
        let is = |words: &[&str]| is_one_of(&token, words);
        let again = if is(&ASSIGNMENTS) {
            compared = false;
            std::mem::replace(&mut assigned, true)
        } else if is(&COMPARISONS) {
            std::mem::replace(&mut compared, true)
        } else {
            assigned &= !is(&["//"]);
            compared &= !is(&["//", "and", "or"]);
            false
        };
        if again {
            result.push(Token(token.0, Tok::Sym));
        }
        result.push(token);
    }
    result
}

/// `%` binds as tightly as `*` and `/`.
fn products<'s>(tokens: Tokens<'s>) -> Tokens<'s> {
    let mut result: Tokens<'s> = Vec::with_capacity(tokens.len());
    // where the product begins, and whether it has a factor so far
    let (mut begin, mut multiplied) = (0, false);
    for token in tokens {
        match token {
            Token("*" | "/", Tok::Sym) => multiplied = true,
            Token("%", Tok::Sym) if multiplied => {
                let left = result.split_off(begin);
                result.push(block(left));
                multiplied = false;
            }
            _ => {}
        }
        let ends = is_one_of(&token, &LOOSER) || is_one_of(&token, &ASSIGNMENTS);
        result.push(token);
        if ends {
            (begin, multiplied) = (result.len(), false);
        }
    }
    result
}
