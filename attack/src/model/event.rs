//! Events to attack with, and one transformation of them, written twice: in jq for esm, in Rust for
//! the model.

use serde_json::{Value, json};

/// The transformation as `esm` runs it: `A` gets version 2 and a sum, `B` is dropped, `C` is split
/// in two, everything else stays as it is.
pub(crate) const PROGRAM: &str = r#"if .type == "A" and .schemaversion == 1 then
  .schemaversion = 2 | .data.sum = .data.n + .data.n
elif .type == "B" then empty
elif .type == "C" then
  (.type = "C1" | .id = .id + ".1"), (.type = "C2" | .id = .id + ".2" | .data = {left: .data.n})
else . end
"#;

/// An event of an object, as far as the model knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) version: u64,
    pub(crate) data: Value,
}

impl Event {
    pub(crate) fn new(id: &str, kind: &str, n: u64) -> Self {
        Self {
            id: id.to_owned(),
            kind: kind.to_owned(),
            version: 1,
            data: json!({"n": n, "text": "é\u{202e}\u{1b}[31m"}),
        }
    }

    /// As a line of an import or an export, with its place in its object, `name/key`.
    pub(crate) fn line(&self, object: &str, sequence: usize) -> String {
        let (source, subject) = object.split_once('/').unwrap_or((object, ""));
        let line = json!({
            "specversion": "1.0", "id": self.id, "source": source, "subject": subject,
            "type": self.kind, "sequence": sequence.to_string(), "schemaversion": self.version,
            "data": self.data,
        });
        line.to_string() + "\n"
    }

    /// What the transformation makes of it.
    pub(crate) fn image(&self) -> Vec<Self> {
        let mut event = self.clone();
        match (&*self.kind, self.version) {
            ("A", 1) => {
                let n = self.data["n"].as_u64().unwrap_or_default();
                event.version = 2;
                event.data["sum"] = json!(n + n);
                vec![event]
            }
            ("B", _) => Vec::new(),
            ("C", _) => {
                let mut second = event.clone();
                event.kind = "C1".to_owned();
                event.id += ".1";
                second.kind = "C2".to_owned();
                second.id += ".2";
                second.data = json!({"left": self.data["n"]});
                vec![event, second]
            }
            _ => vec![event],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_not_changed_again() {
        for kind in ["A", "B", "C", "D"] {
            let image = Event::new("x", kind, 3).image();
            let again: Vec<Event> = image.iter().flat_map(Event::image).collect();
            assert_eq!(image, again, "{kind}");
        }
    }
}
