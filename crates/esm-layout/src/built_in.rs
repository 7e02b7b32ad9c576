//! The layouts of known libraries.

use crate::Layout;

/// A layout that esm knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltIn {
    name: &'static str,
    about: &'static str,
    text: &'static str,
}

macro_rules! built_in {
    ($name:literal, $about:literal) => {
        BuiltIn {
            name: $name,
            about: $about,
            text: include_str!(concat!("../layouts/", $name, ".toml")),
        }
    };
}

impl BuiltIn {
    /// All of them, by name.
    pub const ALL: [Self; 5] = [
        built_in!("cqrs-es", "cqrs-es for Rust, with postgres-es"),
        built_in!("emmett", "Emmett for Node.js"),
        built_in!("eventuous", "Eventuous for .NET"),
        built_in!("marten", "Marten 8 and 9 for .NET"),
        built_in!("message-db", "Message DB, used by Eventide and others"),
    ];

    /// Returns the layout of this name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name == name)
    }

    /// Returns its name, such as `marten`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Returns which library it belongs to.
    pub fn about(&self) -> &'static str {
        self.about
    }

    /// Returns it as TOML, with comments.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// Returns it as data.
    ///
    /// # Panics
    /// Never: a test reads all of them.
    pub fn layout(&self) -> Layout {
        Layout::parse(self.text).expect("a layout that is built in can be read")
    }
}
