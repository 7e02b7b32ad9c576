//! Tables and lists of facts: aligned on a terminal, tab-separated elsewhere.

use comfy_table::{ContentArrangement, presets};

/// Rows under a heading.
#[derive(Debug)]
pub(crate) struct Table {
    heading: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with these columns.
    pub(crate) fn new(heading: impl IntoIterator<Item = &'static str>) -> Self {
        Self {
            heading: heading.into_iter().collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// The table as text; if not on a terminal, a line per row with tabs between the cells.
    pub(crate) fn to_text(&self, terminal: bool) -> String {
        if terminal {
            self.drawn()
        } else {
            self.separated()
        }
    }

    fn drawn(&self) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::UTF8_HORIZONTAL_ONLY)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(self.heading.clone());
        for row in &self.rows {
            table.add_row(row);
        }
        table.to_string()
    }

    fn separated(&self) -> String {
        let mut text = self.heading.join("\t");
        for row in &self.rows {
            text.push('\n');
            text.push_str(&row.join("\t"));
        }
        text
    }
}

/// Facts about one thing, each with a name and a value.
#[derive(Debug, Default)]
pub(crate) struct Facts(Vec<(String, String)>);

impl Facts {
    /// An empty list.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a fact.
    pub(crate) fn add(&mut self, name: impl Into<String>, value: impl ToString) -> &mut Self {
        self.0.push((name.into(), value.to_string()));
        self
    }

    /// Adds a fact if it has a value.
    pub(crate) fn add_some(&mut self, name: &str, value: Option<impl ToString>) -> &mut Self {
        match value {
            Some(value) => self.add(name, value),
            None => self,
        }
    }

    /// The facts as text, a line each: aligned on a terminal, separated by a tab elsewhere.
    pub(crate) fn to_text(&self, terminal: bool) -> String {
        let width = self.0.iter().map(|(n, _)| n.chars().count()).max();
        let width = width.unwrap_or(0) + 2;
        let line = |(name, value): &(String, String)| {
            if terminal {
                format!("{name:width$}{value}")
            } else {
                format!("{name}\t{value}")
            }
        };
        self.0.iter().map(line).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elsewhere_than_on_a_terminal_a_row_is_a_line() {
        let mut table = Table::new(["object", "events"]);
        table.row(["order/1".to_owned(), "3".to_owned()]);
        assert_eq!(table.to_text(false), "object\tevents\norder/1\t3");
        assert!(table.to_text(true).lines().count() > 2);
    }

    #[test]
    fn facts_are_aligned_on_a_terminal() {
        let mut facts = Facts::new();
        facts
            .add("a", 1)
            .add_some("long", Some(2))
            .add_some("none", None::<u8>);
        assert_eq!(facts.to_text(true), "a     1\nlong  2");
        assert_eq!(facts.to_text(false), "a\t1\nlong\t2");
    }
}
