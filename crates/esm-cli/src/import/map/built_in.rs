//! The maps that come with esm.

use esm_core::{Error, ErrorKind, Result};

/// A map that comes with esm.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    /// What `--map` calls it.
    pub(crate) name: &'static str,
    /// Where its records come from.
    pub(crate) about: &'static str,
    /// Its program.
    pub(crate) text: &'static str,
    /// Fields that together give away a record that it is for; alternatives.
    fields: &'static [&'static [&'static str]],
}

/// All of them, in the order of the documentation.
pub(crate) static BUILT_IN: [BuiltIn; 8] = [
    BuiltIn {
        name: "postgres",
        about: "a table of events of your own, with usual names of columns",
        text: include_str!("postgres.jq"),
        fields: &[],
    },
    BuiltIn {
        name: "cqrs-es",
        about: "the Rust crate cqrs-es: table events",
        text: include_str!("cqrs-es.jq"),
        fields: &[&["aggregate_type", "aggregate_id", "sequence", "payload"]],
    },
    BuiltIn {
        name: "message-db",
        about: "Message DB, Eventide: table messages",
        text: include_str!("message-db.jq"),
        fields: &[&["stream_name", "position", "global_position", "type"]],
    },
    BuiltIn {
        name: "marten",
        about: "Marten: table mt_events",
        text: include_str!("marten.jq"),
        fields: &[&["seq_id", "stream_id", "version", "data", "type"]],
    },
    BuiltIn {
        name: "emmett",
        about: "Emmett: table emt_messages",
        text: include_str!("emmett.jq"),
        fields: &[&[
            "stream_id",
            "stream_position",
            "message_type",
            "message_data",
        ]],
    },
    BuiltIn {
        name: "kurrent",
        about: "KurrentDB, EventStoreDB: events as JSON",
        text: include_str!("kurrent.jq"),
        fields: &[
            &["eventStreamId", "eventNumber", "eventType"],
            &["streamId", "eventNumber", "eventType"],
            &["streamId", "revision", "type", "data"],
        ],
    },
    BuiltIn {
        name: "axon",
        about: "Axon Framework: table domain_event_entry",
        text: include_str!("axon.jq"),
        fields: &[&["aggregate_identifier", "sequence_number", "payload_type"]],
    },
    BuiltIn {
        name: "cloudevents",
        about: "CloudEvents that are not one a line",
        text: include_str!("cloudevents.jq"),
        fields: &[],
    },
];

impl BuiltIn {
    /// The map of this name.
    ///
    /// # Errors
    /// `NotFound`, naming all that there are.
    pub(crate) fn named(name: &str) -> Result<&'static Self> {
        let found = BUILT_IN.iter().find(|map| map.name == name);
        found.ok_or_else(|| unknown(format!("no built-in map has the name {name:?}")))
    }

    /// The map that is certainly for records with these fields.
    pub(in crate::import) fn of_fields<'a>(
        fields: impl Iterator<Item = &'a str> + Clone,
    ) -> Option<&'static Self> {
        let has = |name: &str| fields.clone().any(|field| field == name);
        BUILT_IN.iter().find(|map| {
            let mut alternatives = map.fields.iter();
            alternatives.any(|fields| fields.iter().all(|field| has(field)))
        })
    }
}

pub(super) fn unknown(message: String) -> Error {
    let names: Vec<_> = BUILT_IN.iter().map(|map| map.name).collect();
    let names = names.join(", ");
    let hint = format!("--map takes a file with a jq program, or one of {names}");
    Error::new(ErrorKind::NotFound, message).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use esm_jq::JqMap;

    #[test]
    fn every_built_in_map_compiles_and_says_how_to_use_it() -> Result<()> {
        for map in &BUILT_IN {
            JqMap::compile(map.name, map.text)?;
            let usage = format!("esm import --map {}", map.name);
            assert!(map.text.contains(&usage), "{}", map.name);
            assert!(map.text.lines().all(|line| !line.contains('\t')));
        }
        Ok(())
    }

    #[test]
    fn a_record_is_recognised_by_its_fields() {
        let of = |fields: &str| BuiltIn::of_fields(fields.split(' ')).map(|map| map.name);
        assert_eq!(
            of("id stream_name type position global_position data"),
            Some("message-db")
        );
        assert_eq!(of("streamId eventNumber eventType data"), Some("kurrent"));
        assert_eq!(of("stream_id version data type"), None);
    }
}
