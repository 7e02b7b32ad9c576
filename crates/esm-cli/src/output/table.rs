//! Tables and lists of facts: aligned on a terminal, tab-separated elsewhere.

use std::fmt::Display;

use comfy_table::ColumnConstraint::LowerBoundary;
use comfy_table::{CellAlignment, ContentArrangement, Width, presets};

use super::text::{Escaped, Text};
use super::wrap::{broken, width_of, without_middle};

/// Columns between two columns of a table.
const GAP: usize = 2;

/// The width that no column of a table gets less than, if its words are wider.
const LEAST: usize = 12;

/// Headings of columns of ids: the end of one can consist of digits alone, and is no number.
const IDS: [&str; 3] = ["migration", "backup", "closed by"];

/// The width that the values of facts are given at least.
const VALUES: usize = 20;

/// How text for people is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// Aligned for a terminal; otherwise separated by tabs.
    pub(crate) terminal: bool,
    /// The columns that it is fitted into; everything is whole without.
    pub(crate) width: Option<usize>,
    /// Whether tables have a heading.
    pub(crate) heading: bool,
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
    ///
    /// In a terminal, cells are broken between words. Where that is not enough, words lose their middle:
    /// those of the first column, which names the rows, last.
    pub(crate) fn to_text(&self, form: Form) -> Text {
        if form.terminal {
            return Text::laid_out(self.drawn(form));
        }
        let heading = form.heading.then(|| self.heading.join("\t"));
        let rows = self.rows.iter().map(|row| row.join("\t"));
        Text::laid_out(heading.into_iter().chain(rows))
    }

    /// Whether each word is shown whole in this form.
    pub(crate) fn is_whole(&self, form: Form) -> bool {
        let longest = self.longest_words(form);
        let width = form.width.filter(|_| form.terminal);
        width.is_none_or(|width| fitted(&longest, width) == longest)
    }

    /// The width of the longest word of each column.
    fn longest_words(&self, form: Form) -> Vec<usize> {
        (0..self.heading.len())
            .map(|column| self.longest_word(column, form.heading))
            .collect()
    }

    fn drawn(&self, form: Form) -> Vec<String> {
        let longest = self.longest_words(form);
        let words = match form.width {
            Some(width) => fitted(&longest, width),
            None => longest,
        };
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        if form.heading {
            table.set_header(self.heading.clone());
        }
        if let Some(width) = form.width {
            // the gap behind the last column is not shown
            let width = u16::try_from(width + GAP).unwrap_or(u16::MAX);
            table
                .set_width(width)
                .set_content_arrangement(ContentArrangement::Dynamic);
        }
        for row in &self.rows {
            let cells = row.iter().zip(&words);
            table.add_row(cells.map(|(cell, width)| shortened_words(cell, *width)));
        }
        for (at, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, GAP as u16));
            let least = u16::try_from(words[at] + GAP).unwrap_or(u16::MAX);
            column.set_constraint(LowerBoundary(Width::Fixed(least)));
            if self.is_numeric(at) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let lines = table.lines();
        lines.map(|line| line.trim_end().to_owned()).collect()
    }

    fn cells(&self, column: usize) -> impl Iterator<Item = &str> {
        let rows = self.rows.iter();
        rows.map(move |row| row.get(column).map_or("", String::as_str))
    }

    /// The width of the longest word of a column.
    fn longest_word(&self, column: usize, with_heading: bool) -> usize {
        let heading = self.heading.get(column).copied();
        let cells = self.cells(column).chain(heading.filter(|_| with_heading));
        let words = cells.flat_map(|cell| cell.split(' '));
        words.map(width_of).max().unwrap_or(0)
    }

    /// Whether a column has numbers only.
    fn is_numeric(&self, column: usize) -> bool {
        let is_number = |c: char| c.is_ascii_digit() || c == ',';
        !IDS.contains(&self.heading[column])
            && self.cells(column).all(|cell| cell.chars().all(is_number))
            && self.cells(column).any(|cell| !cell.is_empty())
    }
}

/// The widths of the longest words of columns, so that the columns fit into `width` together: the
/// first column keeps its own for as long as that is possible.
fn fitted(longest: &[usize], width: usize) -> Vec<usize> {
    let Some((first, others)) = longest.split_first() else {
        return Vec::new();
    };
    let width = width.saturating_sub(GAP * others.len());
    let of_others = |most: usize| others.iter().map(move |word| *word.min(&most));
    let fits = |most: &usize| first + of_others(*most).sum::<usize>() <= width;
    let most = (LEAST..=width).rev().find(fits).unwrap_or(LEAST);
    let left = width.saturating_sub(of_others(most).sum());
    let first = *first.min(&left.max(LEAST));
    std::iter::once(first).chain(of_others(most)).collect()
}

fn shortened_words(cell: &str, width: usize) -> String {
    let words: Vec<_> = cell
        .split(' ')
        .map(|word| without_middle(word, width))
        .collect();
    words.join(" ")
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

    /// The facts as text: aligned on a terminal, with values broken between words; elsewhere a line
    /// each, separated by a tab.
    pub(crate) fn to_text(&self, form: Form) -> Text {
        if !form.terminal {
            let lines = self
                .0
                .iter()
                .map(|(name, value)| format!("{name}\t{value}"));
            return Text::laid_out(lines);
        }
        let names = self.0.iter().map(|(name, _)| width_of(name)).max();
        let names = names.unwrap_or(0) + GAP;
        let values = form
            .width
            .map(|width| width.saturating_sub(names).max(VALUES));
        let lines = self.0.iter().flat_map(|(name, value)| {
            let lines = match values {
                Some(width) => broken(value, width),
                None => vec![value.clone()],
            };
            let lines = lines.into_iter().enumerate();
            lines.map(move |(at, line)| {
                let name = if at == 0 { name.as_str() } else { "" };
                let padding = " ".repeat(names - width_of(name));
                format!("{name}{padding}{line}").trim_end().to_owned()
            })
        });
        Text::laid_out(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADING: [bool; 2] = [true, false];

    const ELSEWHERE: Form = Form {
        terminal: false,
        width: None,
        heading: true,
    };

    fn of_width(width: usize) -> Form {
        Form {
            terminal: true,
            width: Some(width),
            ..ELSEWHERE
        }
    }

    fn on_a_terminal(table: &Table) -> [String; 2] {
        HEADING.map(|heading| text(table, true, heading))
    }

    fn elsewhere(table: &Table) -> [String; 2] {
        HEADING.map(|heading| text(table, false, heading))
    }

    fn text(table: &Table, terminal: bool, heading: bool) -> String {
        let form = Form {
            terminal,
            width: None,
            heading,
        };
        table.to_text(form).to_string()
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
    fn ids_of_digits_alone_are_aligned_as_ids() {
        let mut table = Table::new(["migration", "done"]);
        table.row(["12345678".to_owned(), "3".to_owned()]);
        let [with, _] = on_a_terminal(&table);
        assert_eq!(with, "migration  done\n12345678      3");
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
        assert_eq!(facts.to_text(ELSEWHERE).to_string(), "tag\\n\tx\\ty");
    }

    #[test]
    fn facts_are_aligned_on_a_terminal() {
        let mut facts = Facts::new();
        facts
            .add("a", 1)
            .add_some("long", Some(2))
            .add_some("none", None::<u8>);
        assert_eq!(facts.to_text(of_width(80)).to_string(), "a     1\nlong  2");
        assert_eq!(facts.to_text(ELSEWHERE).to_string(), "a\t1\nlong\t2");
    }

    #[test]
    fn a_table_fits_its_width_and_the_first_column_stays_whole_longest() {
        let mut table = Table::new(["object", "events", "active stream"]);
        let object = "order/00000000-0000-4000-8000-000000000001";
        let stream = "order-00000000-0000-4000-8000-000000000001.0abd6590b52d59c4";
        table.row([object.to_owned(), "8".to_owned(), stream.to_owned()]);
        let lines = |width| table.to_text(of_width(width)).to_string();
        let shown = |width| lines(width).lines().last().expect("a row").to_owned();
        assert_eq!(shown(111), format!("{object}       8  {stream}"));
        assert_eq!(
            shown(80),
            format!("{object}       8  order-00000000…d6590b52d59c4")
        );
        assert_eq!(shown(40), "order/000…00000001       8  order-…d59c4");
        for width in 40..120 {
            let widest = lines(width).lines().map(width_of).max();
            assert!(widest <= Some(width), "{}", lines(width));
        }
        assert!(table.to_text(ELSEWHERE).to_string().ends_with(stream));
    }

    #[test]
    fn cells_are_broken_between_words_before_a_word_loses_its_middle() {
        let mut table = Table::new(["type", "becomes"]);
        table.row(["OrderPaid".to_owned(), "Invoiced v1, Paid v1".to_owned()]);
        let text = table.to_text(of_width(24)).to_string();
        assert_eq!(
            text,
            "type       becomes\nOrderPaid  Invoiced v1,\n           Paid v1"
        );
    }

    #[test]
    fn the_value_of_a_fact_is_broken_below_itself() {
        let mut facts = Facts::new();
        facts
            .add("state", "failed")
            .add("reason", "one two three four five six");
        let text = facts.to_text(of_width(28)).to_string();
        assert_eq!(
            text,
            "state   failed\nreason  one two three four\n        five six"
        );
    }
}
