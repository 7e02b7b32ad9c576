//! What must not reach a message.

/// Cuts everything from a `?` to the end of the word: addresses lose their query, which is where
/// signatures stand.
pub fn without_queries(text: &str) -> String {
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
