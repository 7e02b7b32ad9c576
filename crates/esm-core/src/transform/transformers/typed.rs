//! Transformations between payloads that have Rust types.

use std::any::type_name;
use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Result;
use crate::event::{Event, Schema};
use crate::transform::{FunctionTransformer, TransformError, Transformed};

/// What a typed closure may return: `New`, an `Option` of it (`None` drops), a `Vec` of it (several
/// split, none drops), or a `Result` of any of these.
pub trait TypedOutputs<New> {
    /// The payloads, in order; the message of what failed.
    ///
    /// # Errors
    /// The closure's own, as text.
    fn into_outputs(self) -> Result<Vec<New>, String>;
}

impl<New> TypedOutputs<New> for New {
    fn into_outputs(self) -> Result<Vec<New>, String> {
        Ok(vec![self])
    }
}

impl<New> TypedOutputs<New> for Option<New> {
    fn into_outputs(self) -> Result<Vec<New>, String> {
        Ok(self.into_iter().collect())
    }
}

impl<New> TypedOutputs<New> for Vec<New> {
    fn into_outputs(self) -> Result<Vec<New>, String> {
        Ok(self)
    }
}

impl<New, E: Display> TypedOutputs<New> for Result<New, E> {
    fn into_outputs(self) -> Result<Vec<New>, String> {
        self.map(|new| vec![new]).map_err(|e| e.to_string())
    }
}

impl<New, E: Display> TypedOutputs<New> for Result<Option<New>, E> {
    fn into_outputs(self) -> Result<Vec<New>, String> {
        self.map(|new| new.into_iter().collect())
            .map_err(|e| e.to_string())
    }
}

impl<New, E: Display> TypedOutputs<New> for Result<Vec<New>, E> {
    fn into_outputs(self) -> Result<Vec<New>, String> {
        self.map_err(|e| e.to_string())
    }
}

/// A closure from an old payload to new ones; every `Fn(Old) -> impl TypedOutputs<New>` is one.
pub trait TypedFunction<Old, New>:
    Fn(Old) -> <Self as TypedFunction<Old, New>>::Outputs + Send + Sync + 'static
{
    /// What it returns.
    type Outputs: TypedOutputs<New>;
}

impl<Old, New, Outputs, F> TypedFunction<Old, New> for F
where
    F: Fn(Old) -> Outputs + Send + Sync + 'static,
    Outputs: TypedOutputs<New>,
{
    type Outputs = Outputs;
}

impl FunctionTransformer {
    /// Transforms the JSON payloads of one schema into those of another, by their Rust types.
    ///
    /// # Guarantees
    /// 1. Id, time, metadata and content type of the event stay; several outputs get the ids
    ///    `{id}.{index}` from the [`Mapper`](crate::transform::Mapper).
    /// 2. A drop, a payload that is not an `Old` and an error of the closure stand under the rule
    ///    `id`.
    /// 3. Where `from` equals `to` and the new payload equals the old one as JSON, the event is
    ///    unchanged, to the byte. Where they differ, `from` is
    ///    [retired](crate::transform::EventTransformer::retired_schemas).
    ///
    /// What `Old` does not name is lost; let it take the rest with `#[serde(flatten)]` to keep it.
    ///
    /// # Errors
    /// `Invalid` as for [`new`](Self::new).
    ///
    /// # Example
    /// ```
    /// use esm_core::event::Schema;
    /// use esm_core::transform::FunctionTransformer;
    /// use serde::{Deserialize, Serialize};
    ///
    /// #[derive(Deserialize)]
    /// struct Old { name: String }
    /// #[derive(Serialize)]
    /// struct New { first: String, last: String }
    ///
    /// let split_names = FunctionTransformer::typed::<Old, New>(
    ///     "split-names",
    ///     1,
    ///     Schema::new("Named", 1)?,
    ///     Schema::new("Named", 2)?,
    ///     |old| {
    ///         let (first, last) = old.name.split_once(' ').ok_or("name has no space")?;
    ///         Ok::<_, &str>(New { first: first.into(), last: last.into() })
    ///     },
    /// )?;
    /// # Ok::<(), esm_core::Error>(())
    /// ```
    pub fn typed<Old, New>(
        id: impl AsRef<str>,
        version: u32,
        from: Schema,
        to: Schema,
        function: impl TypedFunction<Old, New>,
    ) -> Result<Self>
    where
        Old: DeserializeOwned + 'static,
        New: Serialize + 'static,
    {
        let rule = id.as_ref().to_owned();
        let retired = (from != to).then(|| from.clone());
        let transformer = Self::new(id, version, [from.clone()], move |event, _| {
            let old = decode::<Old>(event).map_err(|m| TransformError::new(&rule, m))?;
            let news = function(old)
                .into_outputs()
                .map_err(|m| TransformError::new(&rule, m))?;
            if news.is_empty() {
                return Ok(Transformed::dropped(&rule));
            }
            let outputs: Result<Vec<_>, _> =
                news.iter().map(|new| encode(event, &to, new)).collect();
            let outputs = outputs.map_err(|m| TransformError::new(&rule, m))?;
            Ok(match outputs.as_slice() {
                [only] if from == to && equal_as_json(event, only) => Transformed::Unchanged,
                _ => Transformed::Events(outputs),
            })
        })?;
        Ok(transformer.retiring(retired))
    }
}

fn decode<Old: DeserializeOwned>(event: &Event) -> Result<Old, String> {
    if !event.is_json() {
        let content_type = event.content_type.as_deref().unwrap_or_default();
        return Err(format!("payload is not JSON but {content_type}"));
    }
    serde_json::from_slice(&event.payload)
        .map_err(|e| format!("payload is no {}: {e}", type_name::<Old>()))
}

fn encode<New: Serialize>(source: &Event, to: &Schema, new: &New) -> Result<Event, String> {
    let payload = serde_json::to_vec(new)
        .map_err(|e| format!("{} cannot be written as JSON: {e}", type_name::<New>()))?;
    Ok(Event {
        event_type: to.event_type.clone(),
        schema_version: to.version,
        payload: payload.into(),
        ..source.clone()
    })
}

fn equal_as_json(old: &Event, new: &Event) -> bool {
    let value = |event: &Event| serde_json::from_slice::<Value>(&event.payload).ok();
    value(old).is_some_and(|old| Some(old) == value(new))
}

#[cfg(test)]
mod tests;
