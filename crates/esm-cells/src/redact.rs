//! Keeping secrets out of messages.

use std::error::Error as StdError;
use std::fmt;

/// A storage's message with those of its causes, without secrets: addresses lose their query, which
/// may hold a signature.
pub struct Cause(String);

impl Cause {
    /// Creates a cause with a message that holds no secrets.
    pub fn new(message: String) -> Self {
        Self(message)
    }

    /// Collects the messages of an error and its causes, each once.
    pub fn of(error: &(dyn StdError + 'static)) -> Self {
        let mut words = error.to_string();
        let mut next = error.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !words.contains(&text) {
                words.push_str(": ");
                words.push_str(&text);
            }
            next = cause.source();
        }
        Self(without_queries(&words))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for Cause {}

/// Cuts everything from a `?` to the end of the word: the query of an address.
fn without_queries(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut in_query = false;
    for c in text.chars() {
        in_query = match c {
            '?' => {
                out.push_str("?…");
                true
            }
            c if c.is_whitespace() || matches!(c, '"' | '\'' | ')' | '>') => false,
            _ => in_query,
        };
        if !in_query {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_query_is_cut() {
        let text = "GET (https://a.example/c/k?sig=SECRET&se=1) failed: \"x?y\" z";
        assert_eq!(
            without_queries(text),
            "GET (https://a.example/c/k?…) failed: \"x?…\" z"
        );
    }
}
