//! Names of objects.

use std::fmt;

/// The name of an object, or of a folder of objects: segments with `/` between them, none empty.
/// The empty key is the root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Key(String);

impl Key {
    /// A key as a storage gives it; `/` at either end counts for nothing.
    pub fn new(text: &str) -> Self {
        Self(text.trim_matches('/').to_owned())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key of this segment below this one.
    #[must_use]
    pub fn join(mut self, segment: &str) -> Self {
        if !self.0.is_empty() {
            self.0.push('/');
        }
        self.0.push_str(segment);
        self
    }

    /// The same key with this behind its last segment.
    #[must_use]
    pub fn with_suffix(mut self, suffix: &str) -> Self {
        self.0.push_str(suffix);
        self
    }

    /// The last segment; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// What the key is in; nothing for a key of one segment.
    pub fn folder(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(folder, _)| folder)
    }

    /// The segments below this folder; nothing for what is not below it.
    pub fn below<'a>(&'a self, folder: &Self) -> Option<impl Iterator<Item = &'a str> + use<'a>> {
        let rest = match folder.0.as_str() {
            "" => self.0.as_str(),
            folder => self.0.strip_prefix(folder)?.strip_prefix('/')?,
        };
        (!rest.is_empty()).then(|| rest.split('/'))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_its_segments() {
        let key = Key::new("/a/b/").join("c");
        assert_eq!(key.as_str(), "a/b/c");
        assert_eq!((key.name(), key.folder()), ("c", Some("a/b")));
        assert_eq!(Key::default().join("a").as_str(), "a");
        assert_eq!(Key::default().join("a").with_suffix(".hb").name(), "a.hb");
    }

    #[test]
    fn only_what_is_in_a_folder_is_below_it() {
        let below = |key: &str, folder: &str| {
            let key = Key::new(key);
            let segments = key.below(&Key::new(folder));
            segments.map(|segments| segments.collect::<Vec<_>>().join("|"))
        };
        assert_eq!(below("a/b/c", "a").as_deref(), Some("b|c"));
        assert_eq!(below("a/b", "").as_deref(), Some("a|b"));
        for (key, folder) in [("ab/c", "a"), ("a", "a"), ("b/a", "a")] {
            assert_eq!(below(key, folder), None, "{key} below {folder}");
        }
    }
}
