//! Durations in JSON: seconds, in fields whose names say so.

use serde::Serialize;
use serde_json::{Map, Value};

/// Fields that hold a format of its own, which stays as it is stored.
const STORED: [&str; 2] = ["plan", "planned"];

/// Optional durations: absent ones have no form of their own.
const OPTIONAL: [&str; 1] = ["eta"];

/// A report whose durations are also numbers of seconds: beside `"elapsed": {"secs": 1, "nanos":
/// 500000000}`, which programs may read, there is `"elapsed_seconds": 1.5`.
#[derive(Debug)]
pub struct InSeconds<T>(pub T);

impl<T: Serialize> Serialize for InSeconds<T> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut value = serde_json::to_value(&self.0).map_err(serde::ser::Error::custom)?;
        add_seconds(&mut value);
        value.serialize(serializer)
    }
}

fn add_seconds(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let durations: Vec<_> = fields.iter().filter_map(in_seconds).collect();
            for (name, field) in fields.iter_mut() {
                if !STORED.contains(&name.as_str()) {
                    add_seconds(field);
                }
            }
            fields.extend(durations);
        }
        Value::Array(items) => items.iter_mut().for_each(add_seconds),
        _ => {}
    }
}

/// The field of a duration in seconds.
fn in_seconds((name, value): (&String, &Value)) -> Option<(String, Value)> {
    let seconds = match value {
        Value::Object(fields) => seconds(fields)?.into(),
        Value::Null if OPTIONAL.contains(&name.as_str()) => Value::Null,
        _ => return None,
    };
    Some((format!("{name}_seconds"), seconds))
}

/// The seconds of a duration as `serde` writes it.
fn seconds(fields: &Map<String, Value>) -> Option<f64> {
    let (secs, nanos) = (
        fields.get("secs")?.as_u64()?,
        fields.get("nanos")?.as_u64()?,
    );
    (fields.len() == 2).then(|| secs as f64 + nanos as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    #[test]
    fn durations_are_seconds_at_every_depth_and_stored_formats_stay() {
        let duration = Duration::from_millis(1_500);
        let report = json!({
            "eta": null,
            "elapsed": duration,
            "locks": [{"lease": duration, "secs": 3}],
            "plan": {"window": duration},
        });
        let shown = serde_json::to_value(InSeconds(&report)).expect("a report");
        assert_eq!(shown["eta_seconds"], Value::Null);
        assert_eq!(shown["elapsed_seconds"], 1.5);
        assert_eq!(shown["locks"][0]["lease_seconds"], 1.5);
        assert_eq!(shown["locks"][0]["secs"], 3);
        assert_eq!(shown["plan"], report["plan"]);
        assert_eq!(shown["elapsed"], report["elapsed"], "existing fields stay");
    }
}
