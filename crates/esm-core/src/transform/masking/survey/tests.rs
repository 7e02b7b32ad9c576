//! Tests of the survey.

use std::sync::Arc;

use super::samples::HIDDEN;
use super::*;
use crate::event::Revision;
use crate::id::{EventId, EventType};
use crate::transform::{
    DateUnit, EventTransformer, Identity, Mapper, Masking, MaskingKey, SampledEvent,
};

fn masking() -> Masking {
    let key = MaskingKey::new(b"a secret of the tests").expect("long enough");
    let types = [EventType::new("Registered").expect("a type")];
    let masking = Masking::new("gdpr").expect("a rule").only_types(types);
    let masking = masking.pseudonym("/email", &key).expect("a path");
    let masking = masking.floor_date("/born", DateUnit::Year).expect("a path");
    let masking = masking.truncate("/zips/*", 2).expect("a path");
    let masking = masking.replace("/name", "erased").expect("a path");
    masking.remove("/phones").expect("a path")
}

fn event(event_type: &str, payload: &str) -> Event {
    Event::new(
        EventId::new("1").expect("an id"),
        EventType::new(event_type).expect("a type"),
        payload.to_owned(),
    )
}

fn registered() -> Event {
    event(
        "Registered",
        r#"{"email":"ada@example.com","born":"1990-12-10","zips":["10115","20095"],
            "name":{"first":"Ada","last":"Lovelace"},"phones":[5551234],"plan":"free"}"#,
    )
}

/// Observes events of an object in their order.
fn surveyed(transformer: impl EventTransformer, object: &str, events: &[Event]) -> MaskingSurvey {
    let masks = transformer.masks();
    let survey = MaskingSurvey::of(masks).expect("it masks");
    let mapper = Mapper::new(Arc::new(transformer));
    let object = object.parse().expect("an object");
    for event in events {
        let mapped = mapper.map(&object, Revision::START, event);
        survey.record(&object, event, &mapped.expect("it is masked"));
    }
    survey
}

fn fields(survey: &MaskingSurvey) -> Vec<String> {
    let found = survey.findings().fields.into_iter().map(|field| {
        let masks: Vec<_> = field.masks.into_iter().map(MaskKind::name).collect();
        format!("{} {} {}", field.field, masks.join(","), field.values)
    });
    found.collect()
}

fn alike(survey: &MaskingSurvey) -> Vec<String> {
    let found = survey.findings().alike.into_iter();
    let shown = found.map(|field| format!("{} {} {}", field.schema, field.field, field.values));
    shown.collect()
}

#[test]
fn the_fields_that_are_masked_are_found_with_the_way() {
    let survey = surveyed(masking(), "customer/7", &[registered(), registered()]);
    assert_eq!(
        fields(&survey),
        [
            ".data.born date 2",
            ".data.email pseudonym 2",
            ".data.name.first replaced 2",
            ".data.name.last replaced 2",
            ".data.phones[] removed 2",
            ".data.zips[] truncated 4",
        ]
    );
    assert_eq!(alike(&survey), [""; 0]);
}

#[test]
fn what_is_masked_and_elsewhere_is_not_is_found_before_and_after() {
    let mut tagged = event("Paid", "{}");
    tagged
        .metadata
        .insert("by", "ada@example.com")
        .expect("a key");
    let others = [
        event(
            "Ordered",
            r#"{"to":{"mail":"ada@example.com"},"call":["5551234"]}"#,
        ),
        event(
            "Logged",
            r#"{"by":{"ada@example.com":{"at":1}},"zip":"10"}"#,
        ),
        tagged,
    ];
    let expected = [
        "Logged v1 .data.by | keys 1",
        "Ordered v1 .data.call[] 1",
        "Ordered v1 .data.to.mail 1",
        "Paid v1 .by 1",
    ];
    let after = [&[registered()][..], &others].concat();
    assert_eq!(alike(&surveyed(masking(), "customer/7", &after)), expected);
    // of equal values that come before, the field of the newest is known
    for other in &others {
        let before = [other.clone(), registered()];
        assert!(
            !alike(&surveyed(masking(), "customer/7", &before)).is_empty(),
            "{other:?}"
        );
    }
    let of_key = surveyed(masking(), "customer/ada@example.com", &[registered()]);
    assert_eq!(alike(&of_key), ["Registered v1 .subject 1"]);
}

#[test]
fn the_same_value_in_the_same_event_is_found() {
    let both = event(
        "Registered",
        r#"{"email":"ada@example.com","login":"ada@example.com"}"#,
    );
    let survey = surveyed(masking(), "customer/7", &[both]);
    assert_eq!(alike(&survey), ["Registered v1 .data.login 1"]);
}

#[test]
fn a_value_that_was_moved_is_not_masked() {
    #[derive(Debug)]
    struct Renames;
    impl EventTransformer for Renames {
        fn fingerprint(&self) -> crate::id::Fingerprint {
            Identity.fingerprint()
        }
        fn handles(&self, _: &Schema) -> bool {
            true
        }
        fn masks(&self) -> Masks {
            let kinds = BTreeSet::from([MaskKind::Removed]);
            Masks {
                kinds,
                ..Masks::default()
            }
        }
        fn transform(
            &self,
            event: &Event,
            _: &crate::transform::TransformContext<'_>,
        ) -> Result<crate::transform::Transformed, crate::transform::TransformError> {
            let payload = r#"{"mail":"ada@example.com"}"#.into();
            let event = Event {
                payload,
                ..event.clone()
            };
            Ok(crate::transform::Transformed::Events(vec![event]))
        }
    }
    let payload = r#"{"email":"ada@example.com","gone":"other"}"#;
    let survey = surveyed(Renames, "customer/7", &[event("A", payload)]);
    assert_eq!(fields(&survey), [".data.gone removed 1"]);
    assert_eq!(alike(&survey), [""; 0]);
}

#[test]
fn a_transformation_that_masks_nothing_is_not_observed() {
    assert!(MaskingSurvey::of(Identity.masks()).is_none());
}

#[test]
fn findings_have_no_value_and_are_bounded() {
    let mut events = vec![registered()];
    for number in 0..300 {
        let payload =
            format!(r#"{{"email":"{number}@example.com","f{number}":"{number}@example.com"}}"#);
        events.push(event("Registered", &payload));
    }
    let survey = surveyed(masking(), "customer/7", &events);
    let found = survey.findings();
    assert_eq!((found.alike.len(), found.omitted), (NAMED, 200));
    let json = serde_json::to_string(&found).expect("JSON");
    for value in ["ada", "Lovelace", "1990", "10115", "5551234", "@"] {
        assert!(!json.contains(value), "{value}: {json}");
    }
    assert_eq!(
        serde_json::from_str::<MaskingFindings>(&json).expect("JSON"),
        found
    );
}

#[test]
fn samples_do_not_show_what_is_masked() {
    let mut source = registered();
    source
        .metadata
        .insert("by", "ada@example.com")
        .expect("a key");
    let survey = surveyed(masking(), "customer/7", std::slice::from_ref(&source));
    let object = "customer/7".parse().expect("an object");
    let mapper = Mapper::new(Arc::new(masking()));
    let mapped = mapper.map(&object, Revision::START, &source);
    let mut sample =
        EventSample::whole(&object, Revision::START, &source, &mapped).expect("it changed");
    survey.hide(&mut sample);
    let json = serde_json::to_string(&sample).expect("JSON");
    for value in ["ada@", "Lovelace", "1990-12", "10115", "5551234"] {
        assert!(!json.contains(value), "{value}: {json}");
    }
    assert!(json.contains("free") && json.contains(HIDDEN), "{json}");
    assert!(
        sample.after[0]
            .payload
            .as_ref()
            .is_some_and(|text| text.contains("erased"))
    );
}

#[test]
fn of_the_outputs_of_an_event_that_is_cut_nothing_is_shown() {
    let long = "x".repeat(20_000);
    let payload = format!(r#"{{"street":"1 Main Street","plan":"free","long":"{long}"}}"#);
    let shown = sampled(&event("Odd", &payload));
    assert!(shown.contains(r#""cut":true"#), "{shown}");
    for value in ["Main", "free", "xxx"] {
        assert!(!shown.contains(value), "{value}: {shown}");
    }
}

/// A transformation for personal data whose ways are not all declared.
#[derive(Debug)]
struct Odd;

impl EventTransformer for Odd {
    fn fingerprint(&self) -> crate::id::Fingerprint {
        Identity.fingerprint()
    }

    fn handles(&self, _: &Schema) -> bool {
        true
    }

    fn masks(&self) -> Masks {
        Masks {
            kinds: BTreeSet::from([MaskKind::Pseudonym]),
            personal: true,
            ..Masks::default()
        }
    }

    fn transform(
        &self,
        event: &Event,
        _: &crate::transform::TransformContext<'_>,
    ) -> std::result::Result<crate::transform::Transformed, crate::transform::TransformError> {
        let payload = match event.event_type.as_str() {
            "Dropped" => return Ok(crate::transform::Transformed::Events(Vec::new())),
            "Failed" => return Err(crate::transform::TransformError::new("odd", "it fails")),
            _ => r#"{"first":"x","note":"from 1 Main Street, NY","vip":false,"plan":"free"}"#,
        };
        let event = Event {
            payload: payload.into(),
            ..event.clone()
        };
        Ok(crate::transform::Transformed::Events(vec![event]))
    }
}

fn sampled(event: &Event) -> String {
    let survey = MaskingSurvey::of(Odd.masks()).expect("it masks");
    let object = "customer/7".parse().expect("an object");
    let mapped = Mapper::new(Arc::new(Odd)).map(&object, Revision::START, event);
    let sample = EventSample::whole(&object, Revision::START, event, &mapped);
    let mut sample = sample.expect("it is no unchanged event");
    // a plan keeps the beginning of a large event
    sample.before = SampledEvent::new(event);
    survey.hide(&mut sample);
    serde_json::to_string(&sample).expect("JSON")
}

#[test]
fn a_value_that_is_masked_in_an_unknown_way_is_not_shown_either() {
    let payload = r#"{"first":"Ada","street":"1 Main Street","vip":true,"plan":"free",
        "by":{"ada@example.com":1}}"#;
    let mut odd = event("Odd", payload);
    odd.metadata.insert("trace", "t-77").expect("a key");
    let shown = sampled(&odd);
    for value in ["Ada", "Main", "true", "ada@"] {
        assert!(!shown.contains(value), "{value}: {shown}");
    }
    assert!(shown.contains("free") && shown.contains("t-77"), "{shown}");
}

#[test]
fn nothing_of_a_dropped_or_failing_event_is_shown() {
    for event_type in ["Dropped", "Failed"] {
        let mut event = event(event_type, r#"{"first":"Ada","n":[1,true]}"#);
        event.metadata.insert("by", "ada").expect("a key");
        let shown = sampled(&event);
        for value in ["Ada", "\"ada\"", "true"] {
            assert!(!shown.contains(value), "{value}: {shown}");
        }
    }
}

#[test]
fn what_cannot_be_looked_at_is_not_shown() {
    let deep = format!("{}\"Ada\"{}", "[".repeat(125), "]".repeat(125));
    let nested = format!("{{\"a\":{{\"b\":{deep}}}}}");
    for payload in [r#"{"first": "Ada""#, &nested] {
        let shown = sampled(&event("Odd", payload));
        assert!(!shown.contains("Ada"), "{shown}");
    }
}

#[test]
fn a_long_array_is_compared_up_to_a_bound() {
    let emails: Vec<_> = (0..60_000).map(|n| format!("{n}@example.com")).collect();
    let payload = serde_json::json!({ "emails": emails }).to_string();
    let key = MaskingKey::new(b"a secret of the tests").expect("long enough");
    let masking = Masking::new("gdpr").expect("a rule");
    let masking = masking.pseudonym("/emails/*", &key).expect("a path");
    let survey = surveyed(masking, "customer/7", &[event("Listed", &payload)]);
    let found = survey.findings();
    assert_eq!(fields(&survey), [".data.emails[] pseudonym 50000"]);
    assert!(found.incomplete);
}
