//! The transformer.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use esm_core::Result;
use esm_core::event::{Event, Schema, SchemaVersion};
use esm_core::id::{EventType, Fingerprint};
use esm_core::transform::{
    EventTransformer, MaskingKey, Masks, TransformContext, TransformError, Transformed,
};

use crate::attempts::{self, Allowance};
use crate::budget::Limits;
use crate::input::Input;
use crate::output;
use crate::program::{Failure, Program};
use crate::value::Val;

/// Transforms events with a jq program.
///
/// The program runs once for each event, and sees it as a CloudEvents JSON object: `specversion`,
/// `id`, `source`, `subject`, `type`, `sequence` (its revision, as text), `schemaversion` (a number),
/// `time`, `datacontenttype`, `data` or `data_base64`, and its metadata.
///
/// # Guarantees
/// 1. No output drops the event, under a rule that has the program's name; one output changes it,
///    several split it.
/// 2. An output that is equal to the event as JSON leaves it
///    [`Unchanged`](Transformed::Unchanged); one that has the event's `data` keeps the payload's
///    bytes.
/// 3. Numbers that the program does not calculate with keep every digit.
/// 4. Equal programs have equal fingerprints and give equal outputs, on every machine: what asks for
///    the time, the environment, files or other events is not there.
/// 5. A program that loops, recurses too deeply or floods is stopped with an error; a panic in the
///    engine is one too.
///
/// # Limits
/// [`MAX_OUTPUTS`](Self::MAX_OUTPUTS), [`MAX_STEPS`](Self::MAX_STEPS) and
/// [`MAX_MADE`](Self::MAX_MADE) for each event, 128 levels of nesting in `data`, and 64 MiB for what
/// is written of an output. `docs/transformations.md` describes what escapes these.
///
/// # Errors
/// A [`TransformError`] has the program's name as its rule.
pub struct JqTransformer {
    rule: String,
    program: Program,
    text_hash: blake3::Hash,
    only_types: Option<BTreeSet<EventType>>,
    keeps_version: bool,
    allowance: Allowance,
}

impl JqTransformer {
    /// The most outputs that a program may give for one event.
    pub const MAX_OUTPUTS: usize = attempts::MAX_OUTPUTS;

    /// The most steps that a program may take for one event, if it is not given another number:
    /// calls of recursive functions, and numbers that `range` counts.
    pub const MAX_STEPS: u64 = attempts::MAX_STEPS;

    /// The most bytes of values that a program may make for one event, whether it keeps them or not:
    /// elements of new arrays with their texts, repeated texts, and sums of more than 1 MiB each.
    pub const MAX_MADE: u64 = attempts::MAX_MADE;

    /// Compiles a program.
    ///
    /// A byte order mark at its start is skipped. `name` is what messages call it, mostly the file it was read from; its last part is the rule
    /// of what is dropped and of what fails.
    ///
    /// # Errors
    /// `Invalid`, showing each fault with its line, its column and the text there.
    pub fn compile(name: &str, program: &str) -> Result<Self> {
        Self::build(name, program, None)
    }

    /// Compiles a program that may call `pseudonym`, which makes the key's
    /// [pseudonym](MaskingKey::pseudonym) of a text.
    ///
    /// The key's id is part of the fingerprint of a program that calls it, the key never.
    ///
    /// # Errors
    /// As [`compile`](Self::compile).
    pub fn compile_with_key(name: &str, program: &str, key: &MaskingKey) -> Result<Self> {
        Self::build(name, program, Some(key))
    }

    /// Compiles a program, with the key of its pseudonyms if there is one.
    pub(crate) fn build(name: &str, program: &str, key: Option<&MaskingKey>) -> Result<Self> {
        let compiled = attempts::compile(name, program, key)?;
        let text = attempts::without_mark(program);
        Ok(Self {
            rule: rule(name),
            program: compiled,
            text_hash: blake3::hash(text.as_bytes()),
            only_types: None,
            keeps_version: false,
            allowance: Allowance::default(),
        })
    }

    /// Leaves events of all other types as they are, without running the program on them.
    ///
    /// Makes another transformation of it: the types are part of the fingerprint.
    #[must_use]
    pub fn only_types(mut self, types: impl IntoIterator<Item = EventType>) -> Self {
        self.only_types = Some(types.into_iter().collect());
        self
    }

    /// Lets the program take so many steps for one event instead of
    /// [`MAX_STEPS`](Self::MAX_STEPS).
    ///
    /// Does not change what it gives, and so not the fingerprint.
    #[must_use]
    pub fn max_steps(mut self, steps: u64) -> Self {
        self.allowance.steps = steps;
        self
    }

    /// Lets the program make so many bytes of values for one event instead of
    /// [`MAX_MADE`](Self::MAX_MADE).
    ///
    /// Does not change what it gives, and so not the fingerprint.
    #[must_use]
    pub fn max_made(mut self, bytes: u64) -> Self {
        self.allowance.made = bytes;
        self
    }

    /// Whether the text shows that it leaves events of this schema as they are, and may change some
    /// of other types.
    pub(crate) fn tests_for_others(&self, schema: &Schema) -> bool {
        let types = self.program.types.as_ref();
        types.is_some_and(|types| !types.is_empty()) && !self.handles(schema)
    }

    /// Whether the text tests for schema versions, and for none that this one is.
    pub(crate) fn tests_for_other_versions(&self, version: SchemaVersion) -> bool {
        let tests = &self.program.versions;
        let version = u64::from(version.0);
        !tests.is_empty() && !tests.iter().any(|test| test.holds(version))
    }

    /// Lets an output without `.schemaversion` have that of the event, instead of version 1.
    ///
    /// It is another transformation then, with the same fingerprint: for a step of upcasters alone, whose
    /// own fingerprint says that it is one.
    pub(crate) fn keeping_version(mut self) -> Self {
        self.keeps_version = true;
        self
    }

    fn allows(&self, event_type: &EventType) -> bool {
        match &self.only_types {
            Some(types) => types.contains(event_type),
            None => true,
        }
    }

    fn attempt(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
        limits: &Limits,
    ) -> Result<Transformed, Failure> {
        let input = Input::of(event).map_err(Failure::Failed)?;
        let object = input.object(event, context);
        // A weak reference lets the program change the object in place, and keeps its address.
        let given = Arc::downgrade(&object);
        let outputs = self.program.run(Val::Obj(object), limits)?;
        match &outputs[..] {
            [] => {
                return Ok(Transformed::Dropped {
                    rule: self.rule.clone(),
                });
            }
            [Val::Obj(output)] if Arc::as_ptr(output) == given.as_ptr() => {
                return Ok(Transformed::Unchanged);
            }
            _ => {}
        }
        let absent = if self.keeps_version {
            event.schema_version
        } else {
            SchemaVersion::default()
        };
        let events = outputs.iter().enumerate().map(|(at, output)| {
            output::event(output, &input, event, context, absent).map_err(|what| {
                let (number, count) = (at + 1, outputs.len());
                Failure::Failed(format!("output {number} of {count} is no event: {what}"))
            })
        });
        let events: Vec<Event> = events.collect::<Result<_, _>>()?;
        Ok(match &events[..] {
            [only] if only == event => Transformed::Unchanged,
            _ => Transformed::Events(events),
        })
    }
}

impl EventTransformer for JqTransformer {
    /// `jq:v{semantics}:{BLAKE3 of the program's text}`, the id of the key if it makes pseudonyms, and
    /// a hash of the types that it is limited to, if it is.
    ///
    /// Every character of the text counts, comments too. The semantics are a number that is raised
    /// when an upgrade of the jq engine changes any output.
    fn fingerprint(&self) -> Fingerprint {
        let mut text = format!("jq:v{}:{}", self.program.meaning, self.text_hash.to_hex());
        if let Some(key) = &self.program.key_id {
            text.push_str(":key:");
            text.push_str(key);
        }
        if let Some(types) = &self.only_types {
            let mut hash = blake3::Hasher::new_derive_key("esm jq only types v1");
            for name in types {
                hash.update(&(name.as_str().len() as u64).to_be_bytes());
                hash.update(name.as_str().as_bytes());
            }
            text.push_str(":only:");
            text.push_str(&hash.finalize().to_hex()[..32]);
        }
        Fingerprint::new(text).unwrap_or_else(|_| unreachable!("short and without controls"))
    }

    /// Whether the program may change events of this type: not if it is limited to others, nor if its
    /// text shows that it leaves this one as it is, as
    /// `if .type == "A" then … elif .type == "B" then … end` does with all but `A` and `B`.
    fn handles(&self, schema: &Schema) -> bool {
        let may_change = match &self.program.types {
            Some(types) => types.contains(schema.event_type.as_str()),
            None => true,
        };
        may_change && self.allows(&schema.event_type)
    }

    /// What the text shows: of the types and schema versions that it tests for, those of which
    /// every output has another type or another version, as `if .type == "A" then .type = "B" end`
    /// has of `A`. Of versions, 1 is tried and what it compares `.schemaversion` with.
    fn retired_schemas(&self) -> BTreeSet<Schema> {
        let schema = |(name, version): &(String, u64)| {
            let event_type = EventType::new(name.as_str()).ok()?;
            let version = SchemaVersion(u32::try_from(*version).ok()?);
            let retired = Schema {
                event_type,
                version,
            };
            self.handles(&retired).then_some(retired)
        };
        self.program.retired.iter().filter_map(schema).collect()
    }

    /// What the text shows: `pseudonym`, `floor_date`, `del`, `delpaths`, slices, and constants that
    /// are assigned.
    fn masks(&self) -> Masks {
        self.program.masks.clone()
    }

    fn transform(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        if !self.allows(&event.event_type) {
            return Ok(Transformed::Unchanged);
        }
        let run = |limits: &Limits| self.attempt(event, context, limits);
        self.allowance
            .run(run)
            .map_err(|failure| TransformError::new(&self.rule, self.allowance.message(failure)))
    }
}

impl fmt::Debug for JqTransformer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JqTransformer")
            .field("rule", &self.rule)
            .field("fingerprint", &self.fingerprint())
            .field("only_types", &self.only_types)
            .finish_non_exhaustive()
    }
}

/// The last part of the program's name.
fn rule(name: &str) -> String {
    match Path::new(name).file_name() {
        Some(file) => file.to_string_lossy().into_owned(),
        None => "jq".to_owned(),
    }
}
