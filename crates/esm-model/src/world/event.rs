//! Events, and what transformations make of them.

/// An event: which append it stems from, and what has become of it since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Event {
    /// The number of the append, unique in the world.
    pub root: u8,
    /// What transformations it went through, a digit to the base 4 for each; 1 as it was appended.
    pub form: u8,
}

/// What a transformation makes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Another event.
    Keep,
    /// None.
    Drop,
    /// Two.
    Split,
}

impl Event {
    /// The event as it was appended.
    pub fn appended(root: u8) -> Self {
        Self { root, form: 1 }
    }

    /// What the transformation makes of it.
    pub fn transformed(self, shape: Shape) -> Vec<Self> {
        let digits: &[u8] = match shape {
            Shape::Keep => &[0],
            Shape::Drop => &[],
            Shape::Split => &[1, 2],
        };
        digits.iter().map(|digit| self.with(*digit)).collect()
    }

    /// What a reverse migration makes of an event that was appended after the pivot.
    pub fn transformed_back(self) -> Self {
        self.with(3)
    }

    /// Whether a reverse migration was the last to transform it.
    pub fn was_transformed_back(self) -> bool {
        self.form % 4 == 3
    }

    /// Another content: no transformation has this form.
    pub(crate) fn damaged(self) -> Self {
        Self { form: 0, ..self }
    }

    fn with(self, digit: u8) -> Self {
        Self {
            form: self.form * 4 + digit,
            ..self
        }
    }
}
