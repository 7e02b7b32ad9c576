//! Sorting the names of many objects in little memory.

use esm_core::Result;
use esm_core::id::ObjectId;

/// Object names concatenated in one text: a name costs its length plus eight bytes.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    text: String,
    starts: Vec<usize>,
}

impl Sorted {
    /// Adds an object.
    pub(crate) fn add(&mut self, object: &ObjectId) {
        self.starts.push(self.text.len());
        self.text.push_str(object.name().as_str());
        self.text.push('/');
        self.text.push_str(object.key().as_str());
        // names contain no control characters
        self.text.push('\0');
    }

    /// The objects sorted by name, without duplicates.
    pub(crate) fn into_objects(self) -> impl Iterator<Item = Result<ObjectId>> {
        let Self { text, mut starts } = self;
        starts.sort_unstable_by(|a, b| name(&text, *a).cmp(name(&text, *b)));
        starts.dedup_by(|a, b| name(&text, *a) == name(&text, *b));
        starts.into_iter().map(move |at| name(&text, at).parse())
    }
}

fn name(text: &str, start: usize) -> &str {
    let rest = &text[start..];
    rest.split_once('\0').map_or(rest, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_in_order_and_once() -> Result<()> {
        let mut sorted = Sorted::default();
        for name in ["b/1", "a/2", "a/10", "b/1", "a/2/x"] {
            sorted.add(&name.parse()?);
        }
        let names: Result<Vec<_>> = sorted.into_objects().collect();
        let names: Vec<_> = names?.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a/10", "a/2", "a/2/x", "b/1"]);
        Ok(())
    }
}
