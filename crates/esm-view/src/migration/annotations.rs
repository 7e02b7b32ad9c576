//! What the command line keeps in the annotations of a plan. Journals and saved plans hold it.

/// Keys of the name and the text of the transformation's jq program.
pub const TRANSFORM: [&str; 2] = ["esm.transform.name", "esm.transform.jq"];

/// Keys of the name and the text of the jq program of the way back.
pub const DOWN: [&str; 2] = ["esm.down.name", "esm.down.jq"];
