//! Collects the steps of upcasters.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::graph::{UpcasterGraph, UpcasterStep};
use super::step::Step;
use super::transformer::Upcasters;
use crate::error::Result;
use crate::event::{Schema, SchemaVersion};
use crate::id::EventType;
use crate::transform::{EventTransformer, FunctionTransformer, TypedFunction};

/// Collects the steps of [`Upcasters`], in any order.
#[derive(Debug)]
#[must_use = "steps do nothing until they are built"]
pub struct UpcastersBuilder {
    version: u32,
    steps: Vec<Step>,
    /// What was wrong with a step that was added. The first error is returned by `build`.
    wrong: Option<crate::Error>,
}

impl Upcasters {
    /// Begins to collect steps.
    pub fn builder() -> UpcastersBuilder {
        UpcastersBuilder {
            version: 1,
            steps: Vec::new(),
            wrong: None,
        }
    }
}

impl UpcastersBuilder {
    /// Sets the version of the closures of all [steps](Self::step). Defaults to 1.
    ///
    /// It is part of the fingerprint, and closures are not. Raise it whenever a closure gives another
    /// output than before, or a migration that is resumed continues with a mixture that only its
    /// verification finds.
    pub fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    /// Adds a step from one version of a type to a later one, between payloads that have Rust types.
    ///
    /// The closure may return `New`, an `Option`, a `Vec` or a `Result` of these, see
    /// [`TypedOutputs`](crate::transform::TypedOutputs). What `Old` does not name is lost; let it take
    /// the rest with `#[serde(flatten)]` to keep it. Its errors stand under the rule
    /// `{type}.v{from}-v{to}`.
    pub fn step<Old, New>(
        self,
        event_type: &str,
        from: u32,
        to: u32,
        function: impl TypedFunction<Old, New>,
    ) -> Self
    where
        Old: DeserializeOwned + 'static,
        New: Serialize + 'static,
    {
        let typed = || {
            let id = format!("{event_type}.v{from}-v{to}");
            let [from, to] = [from, to].map(|version| Schema::new(event_type, version));
            // the version of all closures is part of the whole, and may be set later
            FunctionTransformer::typed::<Old, New>(id, 1, from?, to?, function)
        };
        match typed() {
            Ok(transformer) => self.with(event_type, from, to, transformer),
            Err(error) => self.failed(error.context(Wrong(event_type, from, to))),
        }
    }

    /// Adds a step that any transformer takes.
    ///
    /// Outputs that keep the version `from` get the version `to`; so does an event that the
    /// transformer leaves unchanged or does not handle. An output of another type or version fails.
    pub fn with(
        self,
        event_type: &str,
        from: u32,
        to: u32,
        transformer: impl EventTransformer,
    ) -> Self {
        self.add(event_type, from, to, None, Arc::new(transformer))
    }

    /// Adds a step as [`with`](Self::with). Errors name the file that it was read from.
    pub fn with_file(
        self,
        event_type: &str,
        from: u32,
        to: u32,
        file: impl Into<String>,
        transformer: impl EventTransformer,
    ) -> Self {
        let file = Some(file.into());
        self.add(event_type, from, to, file, Arc::new(transformer))
    }

    fn add(
        mut self,
        event_type: &str,
        from: u32,
        to: u32,
        file: Option<String>,
        transformer: Arc<dyn EventTransformer>,
    ) -> Self {
        match EventType::new(event_type) {
            Ok(event_type) => {
                let (from, to) = (SchemaVersion(from), SchemaVersion(to));
                self.steps.push(Step {
                    event_type,
                    way: UpcasterStep { from, to, file },
                    transformer,
                });
                self
            }
            Err(error) => self.failed(error.context(Wrong(event_type, from, to))),
        }
    }

    fn failed(mut self, error: crate::Error) -> Self {
        self.wrong.get_or_insert(error);
        self
    }

    /// Checks the steps, and composes them.
    ///
    /// # Errors
    /// `Invalid`, naming types, versions and files:
    /// - for a type that is no valid [`EventType`];
    /// - without any step;
    /// - for two steps from one version (a fork);
    /// - for steps that lead in a circle, or to a lower version;
    /// - for a version from which the newest version of its type is not reached (a gap);
    /// - for more than [`MAX_OLD`](Upcasters::MAX_OLD) versions below the newest ones, of all types;
    /// - for types that differ in case alone;
    /// - for a step whose transformer does not handle its version, except
    ///   [`Identity`](crate::transform::Identity).
    pub fn build(self) -> Result<Upcasters> {
        if let Some(error) = self.wrong {
            return Err(error);
        }
        let ways = self.steps.iter();
        let graph = UpcasterGraph::checked(ways.map(|step| (&step.event_type, &step.way)))?;
        self.steps.iter().try_for_each(Step::check)?;
        Ok(Upcasters::new(self.version, graph, self.steps))
    }
}

/// Where an error is: the type and the versions of a step. A type that is far too long is cut.
struct Wrong<'t>(&'t str, u32, u32);

impl fmt::Display for Wrong<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(event_type, from, to) = self;
        write!(f, "upcaster {event_type:.100} v{from} → v{to}")
    }
}
