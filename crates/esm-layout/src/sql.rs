//! Names, texts and parameters as SQL.

use crate::catalogue::Table;

/// A column's value is that of a parameter, written as the database writes it: `7`, but not `07`.
pub(crate) fn equals(column: &str, number: usize, kind: &str) -> String {
    let value = cast(number, kind);
    match kind {
        "text" | "character varying" => format!("{column} = {value}"),
        _ => format!("{column} = {value} AND {column}::text = ${number}"),
    }
}

/// A parameter of type text as a value of a column's type. A cast to `character varying` would cut.
pub(crate) fn cast(number: usize, kind: &str) -> String {
    match kind {
        "text" | "character varying" => format!("${number}"),
        other => format!("CAST(${number} AS {other})"),
    }
}

pub(crate) fn table(table: &Table) -> String {
    format!("{}.{}", quoted(&table.schema), quoted(&table.name))
}

/// A name as SQL.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns a text as a literal of SQL, whatever `standard_conforming_strings` is.
pub fn literal(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('\'', "''");
    if escaped.contains('\\') {
        format!("E'{escaped}'")
    } else {
        format!("'{escaped}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_texts_cannot_leave_their_quotes() {
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
        assert_eq!(literal("a'b"), "'a''b'");
        assert_eq!(literal("a\\'b"), "E'a\\\\''b'");
    }
}
