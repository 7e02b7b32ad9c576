//! The transformation that is shown on the real loan applications, on events of the same form.

use esm_core::event::SchemaVersion;
use esm_core::transform::Transformed;

use crate::events::{event, events, transform};

const PROGRAM: &str = r#"
    if .type == "A_SUBMITTED" then
      .type = "ApplicationSubmitted"
      | .schemaversion = 2
      | .data.case |= with_entries(if .key == "AMOUNT_REQ" then .key = "requestedAmount" end)
    elif .type == "W_Wijzigen contractgegevens" then
      empty
    elif .type == "A_APPROVED" then
      (.type = "ApplicationApproved"), (.type = "ContractDrafted" | .data = {by: .data["org:resource"]})
    end
"#;

#[test]
fn a_type_is_renamed_with_a_new_schema_version_and_a_field() {
    let before = event(
        "A_SUBMITTED",
        r#"{"org:resource":"112","case":{"REG_DATE":"2011-10-01T00:38:44.546+02:00","AMOUNT_REQ":"20000"}}"#,
    );
    let after = events(PROGRAM, &before).remove(0);
    assert_eq!(after.event_type.as_str(), "ApplicationSubmitted");
    assert_eq!(after.schema_version, SchemaVersion(2));
    assert_eq!(
        after.payload,
        r#"{"org:resource":"112","case":{"REG_DATE":"2011-10-01T00:38:44.546+02:00","requestedAmount":"20000"}}"#
    );
    assert_eq!(
        (&after.id, &after.time, &after.metadata, &after.content_type),
        (
            &before.id,
            &before.time,
            &before.metadata,
            &before.content_type
        )
    );
}

#[test]
fn an_event_without_output_is_dropped_by_the_rule_of_the_program() {
    let before = event("W_Wijzigen contractgegevens", "{}");
    assert_eq!(
        transform(PROGRAM, &before),
        Ok(Transformed::Dropped {
            rule: "test.jq".to_owned()
        })
    );
}

#[test]
fn several_outputs_split_the_event_in_their_order() {
    let before = event("A_APPROVED", r#"{ "org:resource": "10629" }"#);
    let after = events(PROGRAM, &before);
    let types: Vec<&str> = after.iter().map(|e| e.event_type.as_str()).collect();
    assert_eq!(types, ["ApplicationApproved", "ContractDrafted"]);
    // The caller makes the ids distinct (`{id}.{index}`).
    assert!(after.iter().all(|e| e.id == before.id));
    assert_eq!(after[0].payload, before.payload);
    assert_eq!(after[1].payload, r#"{"by":"10629"}"#);
}

#[test]
fn all_other_events_stay_as_they_are() {
    let before = event("A_DECLINED", r#"{ "org:resource" : "112" }"#);
    assert_eq!(transform(PROGRAM, &before), Ok(Transformed::Unchanged));
}
