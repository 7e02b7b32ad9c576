//! A file holds one idea; one of over 500 lines rarely does.

use super::Source;

/// The most lines of code that a file may have; about 300 are meant.
const LIMIT: usize = 500;

pub(super) fn check(sources: &[Source]) -> Vec<String> {
    let code = sources.iter().filter(|source| source.is("rs"));
    code.filter_map(|source| {
        let lines = lines_without_tests(&source.text);
        (lines > LIMIT).then(|| {
            let complaint = format!("{lines} lines of code, at most {LIMIT}: split it by ideas");
            source.at(0, &complaint)
        })
    })
    .collect()
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
