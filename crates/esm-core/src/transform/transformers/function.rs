//! A transformation from a closure.

use std::collections::BTreeSet;
use std::fmt;

use crate::error::Result;
use crate::event::{Event, Schema};
use crate::id::Fingerprint;
use crate::transform::{EventTransformer, TransformContext, TransformError, Transformed};

type Function = dyn Fn(&Event, &TransformContext<'_>) -> Result<Transformed, TransformError>
    + Send
    + Sync
    + 'static;

/// A transformation from a closure, for given schemas.
///
/// Its identity is declared: the fingerprint is `fn:{id}@{version}`. Raise the version whenever the
/// closure gives another output than before, or a migration that is resumed continues with a
/// mixture that only its verification finds.
///
/// For payloads that have a Rust type, see [`typed`](Self::typed).
///
/// # Example
/// ```
/// use esm_core::event::Schema;
/// use esm_core::transform::{EventTransformer as _, FunctionTransformer, Transformed};
///
/// let drop_pings = FunctionTransformer::new(
///     "drop-pings",
///     1,
///     [Schema::new("Ping", 1)?, Schema::new("Ping", 2)?],
///     |_event, _context| Ok(Transformed::dropped("pings are noise")),
/// )?;
/// assert_eq!(drop_pings.fingerprint().as_str(), "fn:drop-pings@1");
/// # Ok::<(), esm_core::Error>(())
/// ```
pub struct FunctionTransformer {
    id: String,
    fingerprint: Fingerprint,
    /// Every schema, when absent.
    schemas: Option<BTreeSet<Schema>>,
    retired: BTreeSet<Schema>,
    function: Box<Function>,
}

impl FunctionTransformer {
    /// Transforms events of these schemas with this closure.
    ///
    /// # Errors
    /// `Invalid` when the id is empty, too long or has a control character, or no schema is given.
    pub fn new(
        id: impl AsRef<str>,
        version: u32,
        schemas: impl IntoIterator<Item = Schema>,
        function: impl Fn(&Event, &TransformContext<'_>) -> Result<Transformed, TransformError>
        + Send
        + Sync
        + 'static,
    ) -> Result<Self> {
        let schemas: BTreeSet<_> = schemas.into_iter().collect();
        if schemas.is_empty() {
            return Err(crate::Error::invalid(format!(
                "transformer handles no schema: {}",
                id.as_ref()
            ))
            .with_hint("name the schemas it handles, or use FunctionTransformer::for_all"));
        }
        Self::build(id.as_ref(), version, Some(schemas), Box::new(function))
    }

    /// Transforms events of every schema with this closure.
    ///
    /// # Errors
    /// `Invalid` when the id is empty, too long or has a control character.
    pub fn for_all(
        id: impl AsRef<str>,
        version: u32,
        function: impl Fn(&Event, &TransformContext<'_>) -> Result<Transformed, TransformError>
        + Send
        + Sync
        + 'static,
    ) -> Result<Self> {
        Self::build(id.as_ref(), version, None, Box::new(function))
    }

    /// Declares schemas that the closure certainly changes or drops: see
    /// [`EventTransformer::retired_schemas`].
    #[must_use]
    pub fn retiring(mut self, schemas: impl IntoIterator<Item = Schema>) -> Self {
        self.retired.extend(schemas);
        self
    }

    fn build(
        id: &str,
        version: u32,
        schemas: Option<BTreeSet<Schema>>,
        function: Box<Function>,
    ) -> Result<Self> {
        if id.is_empty() {
            return Err(crate::Error::invalid("transformer's id is empty"));
        }
        Ok(Self {
            id: id.to_owned(),
            fingerprint: Fingerprint::new(format!("fn:{id}@{version}"))?,
            schemas,
            retired: BTreeSet::new(),
            function,
        })
    }
}

impl fmt::Debug for FunctionTransformer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FunctionTransformer")
            .field("id", &self.id)
            .field("fingerprint", &self.fingerprint)
            .field("schemas", &self.schemas)
            .finish_non_exhaustive()
    }
}

impl EventTransformer for FunctionTransformer {
    fn fingerprint(&self) -> Fingerprint {
        self.fingerprint.clone()
    }

    fn handles(&self, schema: &Schema) -> bool {
        self.schemas
            .as_ref()
            .is_none_or(|schemas| schemas.contains(schema))
    }

    fn retired_schemas(&self) -> BTreeSet<Schema> {
        self.retired.clone()
    }

    fn transform(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        (self.function)(event, context)
    }
}

#[cfg(test)]
mod tests;
