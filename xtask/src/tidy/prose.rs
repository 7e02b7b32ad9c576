//! The prose of a source file: its comments, its documentation and the texts of its string literals,
//! without the code that they quote.

/// Where a piece of prose was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A comment `///` or `//!`.
    Doc,
    /// Any other comment.
    Comment,
    /// A string literal.
    Literal,
}

/// Adjacent comment lines of one kind, or one string literal. Line breaks are kept.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) kind: Kind,
    /// The line that it begins in, counted from 0.
    pub(super) line: usize,
    pub(super) text: String,
}

/// The prose of a Rust source file.
pub(super) fn of_rust(text: &str) -> Vec<Piece> {
    let mut scan = Scan {
        chars: text.chars().collect(),
        at: 0,
        line: 0,
        pieces: Vec::new(),
        joins: None,
    };
    while scan.step() {}
    scan.pieces
}

struct Scan {
    chars: Vec<char>,
    at: usize,
    line: usize,
    pieces: Vec<Piece>,
    /// The marker of the comment that ended in the line before, while nothing followed it.
    joins: Option<&'static str>,
}

impl Scan {
    /// Reads one comment, one literal or one character of code; `false` at the end.
    fn step(&mut self) -> bool {
        let Some(c) = self.peek(0) else {
            return false;
        };
        if self.begins("//") {
            self.line_comment();
        } else if self.begins("/*") {
            self.block_comment();
        } else if c == '"' {
            self.at += 1;
            self.string();
        } else if let Some(hashes) = self.raw_string() {
            self.at += hashes + 2 + usize::from(c == 'b');
            self.raw(hashes);
        } else if c == '\'' {
            self.quote();
        } else {
            if !c.is_whitespace() {
                self.joins = None;
            }
            self.next();
        }
        true
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek(0)?;
        self.at += 1;
        self.line += usize::from(c == '\n');
        Some(c)
    }

    fn begins(&self, with: &str) -> bool {
        with.chars()
            .enumerate()
            .all(|(at, c)| self.peek(at) == Some(c))
    }

    fn line_comment(&mut self) {
        let (marker, kind) = if self.begins("////") {
            ("//", Kind::Comment)
        } else if self.begins("///") {
            ("///", Kind::Doc)
        } else if self.begins("//!") {
            ("//!", Kind::Doc)
        } else {
            ("//", Kind::Comment)
        };
        self.at += marker.len();
        let (line, mut text) = (self.line, String::new());
        while let Some(c) = self.next().filter(|c| *c != '\n') {
            text.push(c);
        }
        let joined = self.joins == Some(marker);
        match self.pieces.last_mut().filter(|_| joined) {
            Some(before) => {
                let so_far = before.line + before.text.matches('\n').count();
                let breaks = "\n".repeat(line - so_far);
                before.text += &(breaks + &text);
            }
            None => self.pieces.push(Piece { kind, line, text }),
        }
        self.joins = Some(marker);
    }

    fn block_comment(&mut self) {
        let (line, mut text) = (self.line, String::new());
        while !self.begins("*/") {
            match self.next() {
                Some(c) => text.push(c),
                None => break,
            }
        }
        self.at += 2;
        self.push(Kind::Comment, line, text);
    }

    fn string(&mut self) {
        let (line, mut text) = (self.line, String::new());
        while let Some(c) = self.next().filter(|c| *c != '"') {
            match c {
                '\\' => text.push(self.next().filter(|c| *c == '\n').unwrap_or(' ')),
                c => text.push(c),
            }
        }
        self.push(Kind::Literal, line, text);
    }

    /// The number of `#` of the raw string that begins here, if one does.
    fn raw_string(&self) -> Option<usize> {
        let within_a_word = self.at > 0 && is_word(self.chars[self.at - 1]);
        let prefix = if self.begins("br") {
            2
        } else if self.begins("r") {
            1
        } else {
            return None;
        };
        let hashes = (self.chars[self.at + prefix..].iter())
            .take_while(|c| **c == '#')
            .count();
        let opened = self.peek(prefix + hashes) == Some('"');
        (opened && !within_a_word).then_some(hashes)
    }

    fn raw(&mut self, hashes: usize) {
        let end = format!("\"{}", "#".repeat(hashes));
        let (line, mut text) = (self.line, String::new());
        while !self.begins(&end) {
            match self.next() {
                Some(c) => text.push(c),
                None => break,
            }
        }
        self.at += end.len();
        self.push(Kind::Literal, line, text);
    }

    /// Steps over a character literal, or over the quote that begins a lifetime.
    fn quote(&mut self) {
        let length = if self.peek(1) == Some('\\') {
            let end = (3..).find(|at| matches!(self.peek(*at), Some('\'') | None));
            end.unwrap_or(0) + 1
        } else if self.peek(2) == Some('\'') {
            3
        } else {
            1
        };
        self.joins = None;
        for _ in 0..length {
            self.next();
        }
    }

    fn push(&mut self, kind: Kind, line: usize, text: String) {
        self.joins = None;
        self.pieces.push(Piece { kind, line, text });
    }
}

/// Whether a character belongs to a word, or to a name in code.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Replaces quoted code, fenced or between backticks, by a mark that is no word; keeps line breaks.
pub(super) fn without_code(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut fenced = false;
    let mut quoted = false;
    for line in text.split_inclusive('\n') {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        if fence || fenced {
            kept.push_str("`\n");
            continue;
        }
        // a quotation ends with its paragraph, also where its end is missing
        quoted &= !line.trim().is_empty();
        for c in line.chars() {
            if c == '`' {
                quoted = !quoted;
                kept.push('`');
            } else if !quoted || c == '\n' {
                kept.push(c);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(Kind, usize, String)> {
        let pieces = of_rust(text).into_iter();
        pieces.map(|p| (p.kind, p.line, p.text)).collect()
    }

    #[test]
    fn comments_of_one_kind_join_and_others_do_not() {
        let text = "/// a\n/// b\n// c\nfn f() {} // d\n    // e\n\n    //! f\n";
        let expected = [
            (Kind::Doc, 0, " a\n b"),
            (Kind::Comment, 2, " c"),
            (Kind::Comment, 3, " d\n e"),
            (Kind::Doc, 6, " f"),
        ];
        assert_eq!(found(text), expected.map(|(k, l, t)| (k, l, t.to_owned())));
    }

    #[test]
    fn literals_are_found_whole_and_code_is_not() {
        let text = "let a = \"one \\\n two \\\" x\";\nlet b = r#\"a \"b\"\"#; let r#type = '\"';\n\
                    fn x<'a>(b: &'a str) { br\"c\"; '\\''; \"d\" }";
        let expected = [
            (Kind::Literal, 0, "one \n two   x"),
            (Kind::Literal, 2, "a \"b\""),
            (Kind::Literal, 3, "c"),
            (Kind::Literal, 3, "d"),
        ];
        assert_eq!(found(text), expected.map(|(k, l, t)| (k, l, t.to_owned())));
    }

    #[test]
    fn quoted_code_is_left_out_and_lines_stay() {
        let text = "a `b` c\n```\nd\n```\ne `f\n\ng `h\ni` j\n";
        assert_eq!(without_code(text), "a `` c\n`\n`\n`\ne `\n\ng `\n` j\n");
    }
}
