//! Upcasters as jq programs, a file for each step.

use std::borrow::Cow;
use std::str::FromStr;

use esm_core::event::{Event, Schema};
use esm_core::id::{EventType, Fingerprint};
use esm_core::transform::{
    EventTransformer, MaskingKey, Masks, TransformContext, TransformError, Transformed, Upcasters,
};
use esm_core::{Error, Result};
use percent_encoding::percent_decode_str;

use crate::JqTransformer;

/// The end of the name of a file that holds a program.
const EXTENSION: &str = ".jq";
/// Steps at most.
const MAX_STEPS: usize = 1_000;
/// The most bytes of the programs of all steps: a plan holds them.
pub const MAX_UPCASTER_BYTES: usize = 1 << 20;

/// The step that the name of a file says: `Placed.v1-v2.jq` leads from version 1 of `Placed` to
/// version 2.
#[derive(Debug, Clone, PartialEq, Eq)]
struct StepName {
    event_type: EventType,
    from: u32,
    to: u32,
}

impl FromStr for StepName {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let parts = || {
            let (event_type, versions) = name.strip_suffix(EXTENSION)?.rsplit_once(".v")?;
            let (from, to) = versions.split_once("-v")?;
            Some((event_type, version(from)?, version(to)?))
        };
        let (event_type, from, to) = parts().ok_or_else(|| {
            Error::invalid(format!("name of an upcaster does not say its step: {name}"))
                .with_hint("name it TYPE.vFROM-vTO.jq, such as Placed.v1-v2.jq")
        })?;
        let invalid = |error: Error| error.context(format_args!("name of an upcaster: {name}"));
        let event_type = decoded(event_type)
            .ok_or_else(|| invalid(Error::invalid("what % escapes in the type is not UTF-8")))?;
        let event_type = EventType::new(event_type).map_err(invalid)?;
        Ok(Self {
            event_type,
            from,
            to,
        })
    }
}

/// A version, without a sign.
fn version(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

/// A type may have characters that a file's name cannot have: `%2F` is `/`, and `%25` is `%`.
fn decoded(text: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(text).decode_utf8().ok()
}

/// Composes upcasters of jq programs, one for each step, given as the name of its file and its text.
///
/// The name says the step: `Placed.v1-v2.jq` brings events of the type `Placed` from version 1 to
/// version 2. A character that the name of a file cannot have is escaped: `%2F` is `/`.
///
/// A program sees the events of its type and version alone. What it gives has its new version, also
/// where it does not set `.schemaversion`, or removes it.
///
/// # Errors
/// `Invalid`, naming the files:
/// - for a name that does not say a step;
/// - for a program that cannot be compiled, with each fault's line and column, or that leaves every
///   event of its type as it is, because it tests for other types;
/// - for a program that compares `.schemaversion` with numbers, where none of it is true of its
///   version, as in `if .schemaversion == 1 then … end` for version 2;
/// - as for [`UpcastersBuilder::build`](esm_core::transform::UpcastersBuilder::build): a gap, a fork,
///   or a circle;
/// - for more than 1,000 steps, and for programs of more than 1 MiB together.
pub fn compile_upcasters<'f>(
    files: impl IntoIterator<Item = (&'f str, &'f str)>,
    key: Option<&MaskingKey>,
) -> Result<Upcasters> {
    let mut builder = Upcasters::builder();
    let mut bytes = 0;
    for (number, (name, text)) in files.into_iter().enumerate() {
        bytes += text.len();
        if number == MAX_STEPS || bytes > MAX_UPCASTER_BYTES {
            return Err(Error::invalid(format!(
                "upcasters have more than {MAX_STEPS} steps or {MAX_UPCASTER_BYTES} bytes, at {name}"
            ))
            .with_hint("migrate with some of the types first"));
        }
        let step: StepName = name.parse()?;
        let program = JqTransformer::build(name, text, key)?;
        let from = Schema::new(&step.event_type, step.from)?;
        if program.tests_for_others(&from) {
            let StepName { event_type, .. } = step;
            return Err(Error::invalid(format!(
                "{name}: the program leaves every event of type {event_type} as it is"
            ))
            .with_hint("it tests for other types; it sees those of its own alone"));
        }
        if program.tests_for_other_versions(from.version) {
            return Err(Error::invalid(format!(
                "{name}: the program tests .schemaversion for other versions than {}",
                step.from
            ))
            .with_hint("remove the test: it sees events of its own version alone"));
        }
        let program = StepProgram(program.keeping_version());
        builder = builder.with_file(step.event_type.as_str(), step.from, step.to, name, program);
    }
    builder.build()
}

/// The program of a step. What it leaves as it is gets its new version, so it handles every event.
#[derive(Debug)]
struct StepProgram(JqTransformer);

impl EventTransformer for StepProgram {
    fn fingerprint(&self) -> Fingerprint {
        self.0.fingerprint()
    }

    fn handles(&self, _schema: &Schema) -> bool {
        true
    }

    fn masks(&self) -> Masks {
        self.0.masks()
    }

    fn transform(
        &self,
        event: &Event,
        context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        if self.0.handles(&event.schema()) {
            self.0.transform(event, context)
        } else {
            Ok(Transformed::Unchanged)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_says_its_step() {
        for (name, event_type, from, to) in [
            ("Placed.v1-v2.jq", "Placed", 1, 2),
            (
                "com.example.Placed.v2.v10-v12.jq",
                "com.example.Placed.v2",
                10,
                12,
            ),
            ("order%2FPlaced 100%25.v1-v2.jq", "order/Placed 100%", 1, 2),
            ("100% sure.v1-v2.jq", "100% sure", 1, 2),
        ] {
            let step: StepName = name.parse().expect(name);
            assert_eq!(
                (step.event_type.as_str(), step.from, step.to),
                (event_type, from, to)
            );
        }
    }

    #[test]
    fn a_name_that_says_no_step_is_refused() {
        for name in [
            "Placed.jq",
            "Placed.v1.jq",
            "Placed.1-2.jq",
            "Placed.v1-2.jq",
            "Placed.v1-v2",
            "Placed.v1-v2.JQ",
            "Placed.v-v2.jq",
            "Placed.v+1-v2.jq",
            "Placed.v1-v2-v3.jq",
            "Placed.v1-v99999999999.jq",
            ".v1-v2.jq",
            "%FF.v1-v2.jq",
            "a%0Ab.v1-v2.jq",
        ] {
            let error = name.parse::<StepName>().unwrap_err().to_string();
            assert!(error.contains(name), "{error}");
        }
    }
}
