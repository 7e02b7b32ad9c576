//! The graph of versions as text, for Mermaid and for Graphviz.

use std::fmt::{self, Write as _};

use super::graph::{UpcasterGraph, UpcasterStep, joined};
use crate::id::EventType;

/// A line for each type: `Placed: v1 → v2 → v4, v3 → v4`.
impl fmt::Display for UpcasterGraph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, event_type) in self.types().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            let chains = self.chains(event_type);
            let chains = chains
                .iter()
                .map(|chain| joined(chain.iter().map(|version| format!("v{version}")), " → "));
            write!(f, "{event_type}: {}", joined(chains, ", "))?;
        }
        Ok(())
    }
}

impl UpcasterGraph {
    /// Draws the graph in the language of [Mermaid](https://mermaid.js.org). Steps that were read
    /// from files have their names.
    pub fn to_mermaid(&self) -> String {
        let mut text = "graph LR\n".to_owned();
        self.draw(&mut text, |text, step| {
            let Drawn {
                event_type,
                numbers: [from, to],
                step,
            } = step;
            let name = quoted_for_mermaid(event_type.as_str());
            let label = step.file.as_deref().map(quoted_for_mermaid);
            let label = label.map_or(String::new(), |file| format!("|\"{file}\"|"));
            writeln!(
                text,
                "  n{from}[\"{name} v{}\"] -->{label} n{to}[\"{name} v{}\"]",
                step.from, step.to
            )
        });
        text
    }

    /// Draws the graph in the language of [Graphviz](https://graphviz.org). Steps that were read from
    /// files have their names.
    pub fn to_dot(&self) -> String {
        let mut text = "digraph upcasters {\n  rankdir=LR;\n".to_owned();
        self.draw(&mut text, |text, step| {
            let Drawn {
                event_type, step, ..
            } = step;
            let name = quoted_for_dot(event_type.as_str());
            let label = step.file.as_deref().map(quoted_for_dot);
            let label = label.map_or(String::new(), |file| format!(" [label=\"{file}\"]"));
            writeln!(
                text,
                "  \"{name} v{}\" -> \"{name} v{}\"{label};",
                step.from, step.to
            )
        });
        text.push_str("}\n");
        text
    }

    fn draw(&self, text: &mut String, line: impl Fn(&mut String, &Drawn<'_>) -> fmt::Result) {
        let mut first = 0;
        for event_type in self.types() {
            let mut versions: Vec<_> = self
                .steps(event_type)
                .flat_map(|step| [step.from, step.to])
                .collect();
            versions.sort_unstable();
            versions.dedup();
            for step in self.steps(event_type) {
                let number = |version| {
                    first
                        + versions
                            .iter()
                            .position(|v| *v == version)
                            .unwrap_or_default()
                };
                let numbers = [number(step.from), number(step.to)];
                let drawn = Drawn {
                    event_type,
                    numbers,
                    step,
                };
                line(text, &drawn).unwrap_or_else(|_| unreachable!("text takes everything"));
            }
            first += versions.len();
        }
    }
}

/// A step, with the numbers of its versions among those of all types.
struct Drawn<'g> {
    event_type: &'g EventType,
    numbers: [usize; 2],
    step: &'g UpcasterStep,
}

fn quoted_for_mermaid(text: &str) -> String {
    // `#` begins an escape there, and `<` a tag
    let mut quoted = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '#' | '"' | '<' | '>' | '&' | '`' => {
                quoted.push_str(&format!("#{};", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted
}

fn quoted_for_dot(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}
