//! What a database says of its tables.

/// A table, as the database's catalogue describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: TableKind,
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Its unique indexes.
    pub unique: Vec<UniqueIndex>,
    /// The statements that would grant the user the rights that are missing to read it.
    pub missing_grants: Vec<String>,
}

/// What a relation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableKind {
    /// A table, partitioned or not.
    Table,
    /// A view, materialised or not.
    View,
    /// A table of another server.
    Foreign,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, as the database writes it and without a length: `character varying`.
    pub type_name: String,
    /// Whether it cannot be null.
    pub not_null: bool,
    /// Whether values come from a sequence.
    pub counted: bool,
}

/// A unique index of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueIndex {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// Why it does not make every row unique at once: it is partial, has an expression, is
    /// deferrable or invalid.
    pub shortcoming: Option<String>,
}

impl Table {
    /// Returns the column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Returns `schema.table`, for people.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }

    /// Returns the unique index that makes these columns unique, alone or with some of `also`: the
    /// one with the fewest columns.
    pub fn unique_index(&self, columns: &[&str], also: &[&str]) -> Option<&UniqueIndex> {
        let makes_unique = |index: &&UniqueIndex| {
            let mut within = index.columns.iter().map(String::as_str);
            index.shortcoming.is_none() && within.all(|c| columns.contains(&c) || also.contains(&c))
        };
        let fitting = self.unique.iter().filter(makes_unique);
        fitting.min_by_key(|index| index.columns.len())
    }
}
