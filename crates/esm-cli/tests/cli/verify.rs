//! `esm verify` on targets that are not what the program of their journal makes of the sources.

use esm_core::event::{Event, Schema};
use esm_core::id::Fingerprint;
use esm_core::migration::MigrationService;
use esm_core::store::OnRetired;
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};
use esm_jq::JqTransformer;
use esm_objectstore::OpenOptions;

use crate::esm::{Esm, Ran};
use crate::orders;

/// Claims to be a jq program, and is another function.
#[derive(Debug)]
struct Impostor {
    program: JqTransformer,
    really: fn(&Event) -> Transformed,
}

impl EventTransformer for Impostor {
    fn fingerprint(&self) -> Fingerprint {
        self.program.fingerprint()
    }

    fn handles(&self, _schema: &Schema) -> bool {
        true
    }

    fn transform(
        &self,
        event: &Event,
        _context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        Ok((self.really)(event))
    }
}

/// Verifies two orders of three events that an impostor of the program migrated.
fn verified(program: &str, really: fn(&Event) -> Transformed) -> Ran {
    let esm = Esm::new();
    esm.import(&orders::sorted(2, 3));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = esm_objectstore::open(&esm.url("store"), OpenOptions::new()).await;
        let store = store.expect("a store");
        let service = MigrationService::new(store.event_store(), store.records(), store.locks());
        let migration = service
            .migrate_all()
            .transform(Impostor {
                program: JqTransformer::compile("v2.jq", program).expect("a program"),
                really,
            })
            .on_retired(OnRetired::AcceptUnchanged)
            .annotate("esm.transform.name", "v2.jq")
            .annotate("esm.transform.jq", program);
        let result = migration.execute().await.expect("a result");
        assert!(result.is_success(), "{result:?}");
    });
    esm.run(&["verify", "--all"])
}

fn is_note(event: &Event) -> bool {
    event.event_type.as_str() == "NoteTaken"
}

#[test]
fn an_equal_target_is_equal() {
    verified(".", |_| Transformed::Unchanged)
        .succeeded()
        .printed("equal: 6 events of 2 objects");
}

#[test]
fn a_changed_event_is_found() {
    let ran = verified(".", |event| {
        let mut changed = event.clone();
        if is_note(event) {
            changed.payload = "{}".into();
        }
        Transformed::Events(vec![changed])
    });
    ran.failed(6, &[])
        .printed("order/00000: target revision 2, source revision 2: payload differs from byte 1")
        .printed("DIFFERENT: 2 of 2 objects");
}

#[test]
fn a_missing_event_is_found() {
    let ran = verified(".", |event| {
        if is_note(event) {
            Transformed::dropped("impostor")
        } else {
            Transformed::Unchanged
        }
    });
    ran.failed(6, &[])
        .printed("order/00001: the target ends before source revision 2");
}

#[test]
fn an_event_without_a_source_is_found() {
    let drops_notes = r#"if .type == "NoteTaken" then empty else . end"#;
    verified(drops_notes, |_| Transformed::Unchanged)
        .failed(6, &[])
        .printed("order/00000: target revision 2 has no source event");
}
