//! The assumptions and risks that a plan lists.

use crate::migration::plan::migration_plan::MigrationPlan;
use crate::migration::plan::planner::Planner;
use crate::store::OnRetired;
use crate::transform::MaskingFindings;

impl Planner {
    pub(super) fn prerequisites(&self) -> Vec<String> {
        if self.is_in_place() {
            return vec![
                "every application reads both schemas: all see the new one as soon as a stream is \
                 rewritten"
                    .to_owned(),
            ];
        }
        let mut assumptions = vec![
            "every writer honours a closed stream".to_owned(),
            format!(
                "every process uses the same transformation: {}",
                self.planned.fingerprint
            ),
        ];
        if let Some(store) = self.planned.target_store {
            assumptions.push(format!(
                "every application is configured with the target store: {store}"
            ));
        }
        if self.planned.backup.is_some() {
            assumptions.push("a backup is written and verified before the first copy".to_owned());
        }
        assumptions
    }

    pub(super) fn risks(&self, plan: &MigrationPlan) -> Vec<String> {
        let mut risks = Vec::new();
        if plan.sampled_events < plan.events {
            risks.push(format!(
                "only {} of {} events were read; others may fail",
                plan.sampled_events, plan.events
            ));
        }
        let partly: Vec<_> = (plan.schemas.iter())
            .filter(|s| {
                let taken = s.findings.changed + s.findings.dropped;
                taken > 0 && taken + s.findings.failed < s.findings.events
            })
            .map(|s| s.schema.to_string())
            .collect();
        risks.extend(alike(&plan.masking));
        if plan.masking.incomplete {
            risks.push(NOT_COMPARED.to_owned());
        }
        if self.is_in_place() {
            return risks;
        }
        if !partly.is_empty() {
            risks.push(format!(
                "only some events of a schema are changed or dropped, but the schema is retired as \
                 a whole; later appends of it are refused: {}",
                partly.join(", ")
            ));
        }
        if !plan.ledger.reused.is_empty() {
            let schemas: Vec<_> = plan.ledger.reused.iter().map(ToString::to_string).collect();
            risks.push(format!(
                "changed events keep their type and schema version, so appends of old code and of \
                 new code are indistinguishable; {}: {}",
                match self.planned.on_retired {
                    None => {
                        "a migration is refused until on_retired says whether to refuse or accept \
                         them (--on-retired refuse, or accept-unchanged)"
                    }
                    Some(OnRetired::Refuse) => "both are refused",
                    Some(OnRetired::AcceptUnchanged) => "both are accepted unchanged",
                },
                schemas.join(", ")
            ));
        }
        if plan.ledger.dropped() > 0 {
            risks.push(format!(
                "events are dropped: {}; they remain in the closed source{}",
                plan.ledger.dropped(),
                if self.planned.backup.is_some() {
                    " and in the backup"
                } else {
                    ""
                }
            ));
        }
        if self.planned.backup.is_none() {
            risks.push("no backup is made".to_owned());
        }
        risks
    }

    /// A program that sets `source` or `subject` may be meant to move events, which it does not.
    pub(super) fn risk_of_renaming(events: u64) -> Option<String> {
        (events > 0).then(|| {
            format!(
                "{events} events get another source or subject, which does not move them: they stay \
                 in the stream of their object"
            )
        })
    }

    pub(super) fn risks_of_reversing(&self, plan: &MigrationPlan) -> Vec<String> {
        let mut risks = Vec::new();
        if plan.up_to_date > 0 {
            risks.push(format!(
                "{} objects stay unchanged: not moved by the migration, or already reversed",
                plan.up_to_date
            ));
        }
        if plan.ledger.dropped() > 0 {
            risks.push(format!(
                "{} events appended since are dropped; they remain in the closed streams",
                plan.ledger.dropped()
            ));
        }
        risks
    }
}

const NOT_COMPARED: &str = "not all values were compared with those that are masked: an event or the \
                            number of fields is too large, or a payload is no valid JSON";

/// Fields that a risk names.
const FIELDS: usize = 5;

/// Warns of values that are masked in one field and not in another.
fn alike(masking: &MaskingFindings) -> Option<String> {
    let shown = masking.alike.iter().take(FIELDS);
    let mut fields: Vec<_> = shown
        .map(|field| format!("{} {}", field.schema, field.field))
        .collect();
    let more = masking.alike.len().saturating_sub(FIELDS);
    if more > 0 {
        fields.push(format!("and {more} more"));
    }
    (!fields.is_empty()).then(|| {
        format!(
            "values that are masked are also in fields that are not masked: {}",
            fields.join(", ")
        )
    })
}
