//! Names and ids, whatever their text.

use esm_core::id::{
    EventId, MigrationId, ObjectId, ObjectKey, ObjectName, StoreId, StreamId, StreamName, StreamRef,
};
use proptest::prelude::*;
use uuid::Uuid;

/// Text of any characters, long ones and control characters too.
fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{1,40}",
        any::<String>(),
        "[a-c/.\\-]{1,6}",
        ("\\PC{1,4}", 1..400usize).prop_map(|(text, times)| text.repeat(times)),
    ]
}

fn valid(text: &str, limit: usize) -> bool {
    !text.is_empty() && text.len() <= limit && !text.chars().any(char::is_control)
}

fn object() -> impl Strategy<Value = ObjectId> {
    (any_text(), any_text()).prop_filter_map("no valid object", |(name, key)| {
        let (name, key) = (ObjectName::new(name).ok()?, ObjectKey::new(key).ok()?);
        Some(ObjectId::new(name, key))
    })
}

fn stream() -> impl Strategy<Value = StreamRef> {
    (any::<u128>(), any_text()).prop_filter_map("no valid stream", |(store, id)| {
        let store = StoreId::from_uuid(Uuid::from_u128(store));
        Some(StreamRef::new(store, StreamId::new(id).ok()?))
    })
}

fn name() -> impl Strategy<Value = StreamName> {
    any_text().prop_filter_map("no valid name", |text| StreamName::new(text).ok())
}

/// What makes a target unique.
type Target = (StreamName, u128, StreamRef, u64);

fn target() -> impl Strategy<Value = Target> {
    (name(), any::<u128>(), stream(), 0..3u64)
}

fn target_id((name, migration, source, attempt): &Target) -> StreamId {
    let migration = MigrationId::from_uuid(Uuid::from_u128(*migration));
    StreamId::target(name, migration, source, *attempt)
}

proptest! {
    #[test]
    fn a_name_is_accepted_exactly_by_its_documented_rule(text in any_text()) {
        prop_assert_eq!(EventId::new(&text).is_ok(), valid(&text, EventId::MAX_BYTES));
        prop_assert_eq!(ObjectKey::new(&text).is_ok(), valid(&text, ObjectKey::MAX_BYTES));
        let name = valid(&text, ObjectName::MAX_BYTES) && !text.contains('/');
        prop_assert_eq!(ObjectName::new(&text).is_ok(), name);
    }

    #[test]
    fn a_name_keeps_its_text_and_is_checked_when_it_is_read(text in any_text()) {
        let json = serde_json::to_string(&text).map_err(|e| TestCaseError::fail(e.to_string()))?;
        match serde_json::from_str::<EventId>(&json) {
            Ok(id) => {
                prop_assert_eq!(id.as_str(), &text);
                prop_assert_eq!(serde_json::to_string(&id).ok(), Some(json));
            }
            Err(_) => prop_assert!(!valid(&text, EventId::MAX_BYTES)),
        }
    }

    #[test]
    fn an_object_is_the_same_after_it_was_written_as_text(object in object()) {
        prop_assert_eq!(object.to_string().parse::<ObjectId>().ok(), Some(object));
    }

    #[test]
    fn first_streams_are_valid_and_differ_as_the_objects_do(a in object(), b in object()) {
        let (first, second) = (StreamId::first(&a), StreamId::first(&b));
        prop_assert!(StreamId::new(first.as_str()).is_ok());
        prop_assert_eq!(first == second, a == b);
        prop_assert_eq!(StreamId::first(&a.clone()), first);
    }

    #[test]
    fn targets_are_valid_and_differ_as_what_makes_them_does(a in target(), b in target()) {
        let (first, second) = (target_id(&a), target_id(&b));
        prop_assert!(StreamId::new(first.as_str()).is_ok());
        prop_assert_eq!(first == second, a == b);
        prop_assert_eq!(target_id(&a.clone()), first);
    }

    #[test]
    fn each_part_of_a_target_counts(a in target(), b in target()) {
        let id = target_id(&a);
        let others = [
            ((a.0.clone(), b.1, a.2.clone(), a.3), a.1 == b.1),
            ((a.0.clone(), a.1, b.2.clone(), a.3), a.2 == b.2),
            ((a.0.clone(), a.1, a.2.clone(), a.3 + 1), false),
        ];
        for (other, same) in others {
            prop_assert_eq!(target_id(&other) == id, same);
        }
    }

    #[test]
    fn a_first_stream_is_nobodys_target(object in object(), target in target()) {
        prop_assert_ne!(StreamId::first(&object), target_id(&target));
    }
}
