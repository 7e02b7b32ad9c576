//! Tables and lists of facts: aligned on a terminal, tab-separated elsewhere.

use std::fmt::Display;

use comfy_table::ColumnConstraint::LowerBoundary;
use comfy_table::{CellAlignment, ContentArrangement, Width, presets};

use super::text::{Escaped, Text};

/// The width in columns from which a table is fitted into the terminal. A terminal that does not
/// know its width says 0.
const NARROWEST: u16 = 20;

/// How text for people is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// Aligned for a terminal; otherwise separated by tabs.
    pub(crate) terminal: bool,
    /// Whether tables have a heading.
    pub(crate) heading: bool,
}

impl Form {
    /// For notes, which are for people even where they do not go to a terminal.
    pub(crate) const ALIGNED: Self = Self {
        terminal: true,
        heading: true,
    };
}

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
        let escaped = cells.into_iter().map(|cell| Escaped(cell).to_string());
        self.rows.push(escaped.collect());
    }

    /// The table as text; if not on a terminal, a line per row with tabs between the cells.
    pub(crate) fn to_text(&self, form: Form) -> Text {
        if form.terminal {
            return Text::escaped(self.drawn(form.heading));
        }
        let heading = form.heading.then(|| self.heading.join("\t"));
        let rows = self.rows.iter().map(|row| row.join("\t"));
        let lines: Vec<_> = heading.into_iter().chain(rows).collect();
        Text::escaped(lines.join("\n"))
    }

    fn drawn(&self, with_heading: bool) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        if with_heading {
            table.set_header(self.heading.clone());
        }
        let width = terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0);
        if let Some(width) = width.filter(|width| *width >= NARROWEST) {
            table
                .set_width(width)
                .set_content_arrangement(ContentArrangement::Dynamic);
        }
        for row in &self.rows {
            table.add_row(row);
        }
        for (at, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            column.set_constraint(LowerBoundary(Width::Fixed(
                self.longest_word(at, with_heading) + 2,
            )));
            if self.is_numeric(at) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let lines: Vec<_> = table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        lines.join("\n")
    }

    fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        let rows = self.rows.iter();
        rows.map(move |row| row.get(column).map_or("", String::as_str))
    }

    /// The length of the longest word of a column: words are not broken.
    fn longest_word(&self, column: usize, with_heading: bool) -> u16 {
        let heading = self.heading.get(column).copied();
        let cells = self.cells(column).chain(heading.filter(|_| with_heading));
        let words = cells.flat_map(|cell| cell.split(' '));
        let longest = words.map(|word| word.chars().count()).max().unwrap_or(0);
        u16::try_from(longest).unwrap_or(u16::MAX - 2)
    }

    /// Whether a column has numbers only.
    fn is_numeric(&self, column: usize) -> bool {
        let is_number = |c: char| c.is_ascii_digit() || c == ',';
        self.cells(column).all(|cell| cell.chars().all(is_number))
            && self.cells(column).any(|cell| !cell.is_empty())
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
    pub(crate) fn add(&mut self, name: impl Into<String>, value: impl Display) -> &mut Self {
        let name = Escaped(name.into()).to_string();
        self.0.push((name, Escaped(value).to_string()));
        self
    }

    /// Adds a fact if it has a value.
    pub(crate) fn add_some(&mut self, name: &str, value: Option<impl Display>) -> &mut Self {
        match value {
            Some(value) => self.add(name, value),
            None => self,
        }
    }

    /// The facts as text, a line each: aligned on a terminal, separated by a tab elsewhere.
    pub(crate) fn to_text(&self, terminal: bool) -> Text {
        let width = self.0.iter().map(|(n, _)| n.chars().count()).max();
        let width = width.unwrap_or(0) + 2;
        let line = |(name, value): &(String, String)| {
            if terminal {
                format!("{name:width$}{value}")
            } else {
                format!("{name}\t{value}")
            }
        };
        let lines: Vec<_> = self.0.iter().map(line).collect();
        Text::escaped(lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADING: [bool; 2] = [true, false];

    fn on_a_terminal(table: &Table) -> [String; 2] {
        HEADING.map(|heading| text(table, true, heading))
    }

    fn elsewhere(table: &Table) -> [String; 2] {
        HEADING.map(|heading| text(table, false, heading))
    }

    fn text(table: &Table, terminal: bool, heading: bool) -> String {
        let text = table.to_text(Form { terminal, heading });
        text.as_str().to_owned()
    }

    #[test]
    fn elsewhere_than_on_a_terminal_a_row_is_a_line() {
        let mut table = Table::new(["object", "events"]);
        table.row(["order/1".to_owned(), "3".to_owned()]);
        let [with, without] = elsewhere(&table);
        assert_eq!(with, "object\tevents\norder/1\t3");
        assert_eq!(without, "order/1\t3");
        let [with, without] = on_a_terminal(&table);
        assert_eq!(with, "object   events\norder/1       3");
        assert_eq!(without, "order/1  3");
    }

    #[test]
    fn on_a_terminal_numbers_are_aligned_and_no_line_is_between_rows() {
        let mut table = Table::new(["object", "events"]);
        table.row(["order/1".to_owned(), "3".to_owned()]);
        table.row(["order/10".to_owned(), "1,200".to_owned()]);
        let [with, _] = on_a_terminal(&table);
        assert_eq!(with, "object    events\norder/1        3\norder/10   1,200");
    }

    #[test]
    fn data_cannot_add_a_row_or_a_cell() {
        let mut table = Table::new(["id", "data"]);
        table.row(["a\tb".to_owned(), "c\nd\u{1b}[2J".to_owned()]);
        let [text, _] = elsewhere(&table);
        assert_eq!(text, "id\tdata\na\\tb\tc\\nd\\u{1b}[2J");
        let [text, _] = on_a_terminal(&table);
        assert!(text.contains(r"c\nd\u{1b}[2J"));
        let mut facts = Facts::new();
        facts.add("tag\n", "x\ty");
        assert_eq!(facts.to_text(false).as_str(), "tag\\n\tx\\ty");
    }

    #[test]
    fn facts_are_aligned_on_a_terminal() {
        let mut facts = Facts::new();
        facts
            .add("a", 1)
            .add_some("long", Some(2))
            .add_some("none", None::<u8>);
        assert_eq!(facts.to_text(true).as_str(), "a     1\nlong  2");
        assert_eq!(facts.to_text(false).as_str(), "a\t1\nlong\t2");
    }
}
