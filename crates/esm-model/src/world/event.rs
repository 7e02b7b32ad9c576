//! Events, and what transformations make of them.

/// An event: which append it stems from, and what has become of it since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Event {
    /// The number of the append, unique in the world.
    pub root: u8,
    /// What transformations it went through, a digit to the base 4 for each; 1 as it was appended.
    pub form: u8,
    /// The event that the last fold joined with it.
    pub joined: Option<u8>,
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
    /// None, if no event is held: this one is held then. Otherwise one event, joined of both.
    Join,
}

/// The state of a fold: the event that waits for the one to be joined with. The fold's window is open
/// while there is one.
pub type Held = Option<Event>;

impl Event {
    /// The event as it was appended.
    pub fn appended(root: u8) -> Self {
        Self {
            root,
            form: 1,
            joined: None,
        }
    }

    /// What the transformation makes of it in this state, which becomes the state after it.
    pub fn transformed(self, shape: Shape, held: &mut Held) -> Vec<Self> {
        match shape {
            Shape::Keep => vec![self.with(0)],
            Shape::Drop => Vec::new(),
            Shape::Split => vec![self.with(1), self.with(2)],
            Shape::Join => match held.take() {
                Some(first) => vec![self.joined_with(first)],
                None => {
                    *held = Some(self);
                    Vec::new()
                }
            },
        }
    }

    /// What becomes of it where the events end while it is held.
    pub fn alone(self) -> Self {
        self.with(0)
    }

    fn joined_with(self, first: Self) -> Self {
        Self {
            joined: Some(first.root),
            ..self.with(0)
        }
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
