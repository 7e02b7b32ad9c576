//! A file holds one idea: about 300 lines. One of over 500 is worth a hard look, so it is listed; one
//! of over 700 holds several.

use super::Source;

/// More lines of code than this are listed.
const LOOK: usize = 500;
/// More than this are refused.
const LIMIT: usize = 700;

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let mut wrong = Vec::new();
    for source in sources.iter().filter(|source| source.is("rs")) {
        let lines = lines_without_tests(&source.text);
        let complaint = source.at(0, &format!("{lines} lines of code: split it by ideas"));
        if lines > LIMIT {
            wrong.push(complaint);
        } else if lines > LOOK {
            println!("{complaint}");
        }
    }
    wrong
}

/// Lines outside of items that are there for tests only.
fn lines_without_tests(text: &str) -> usize {
    let mut lines = 0;
    let mut test_item = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        match test_item {
            None if line.trim_start().starts_with("#[cfg(test)]") => test_item = Some(indent),
            None => lines += 1,
            Some(begun) => {
                let ends = line[indent..].starts_with('}') || line.trim_end().ends_with(';');
                if ends && indent == begun {
                    test_item = None;
                }
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_modules_do_not_count() {
        let text = "fn a() {\n}\n#[cfg(test)]\nmod tests {\n    fn b() {\n    }\n}\nfn c() {}\n";
        assert_eq!(lines_without_tests(text), 3);
        assert_eq!(
            lines_without_tests("#[cfg(test)]\nmod tests;\nfn c() {}\n"),
            1
        );
        assert_eq!(
            lines_without_tests("    #[cfg(test)]\n    fn a() {\n    }\n    x\n"),
            1
        );
    }

    #[test]
    fn a_long_file_is_found() {
        let long = Source::new("a.rs", &"x\n".repeat(LIMIT + 1));
        let fits = Source::new("a.rs", &"x\n".repeat(LIMIT));
        assert_eq!(check(&[long, fits]).len(), 1);
    }
}
