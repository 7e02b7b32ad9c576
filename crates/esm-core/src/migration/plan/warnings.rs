//! What a plan says to a careful operator.

use crate::migration::plan::plan::MigrationPlan;
use crate::migration::plan::planner::Planner;
use crate::store::OnRetired;

impl Planner {
    pub(super) fn prerequisites(&self) -> Vec<String> {
        let mut given = vec![
            "every writer honours a closed stream".to_owned(),
            format!(
                "the transformation is the same everywhere: {}",
                self.planned.fingerprint
            ),
        ];
        if let Some(store) = self.planned.target_store {
            given.push(format!(
                "every application knows the store that the events go to: {store}"
            ));
        }
        if self.planned.backup.is_some() {
            given.push("a backup is written and read again before anything is copied".to_owned());
        }
        given
    }

    pub(super) fn risks(&self, plan: &MigrationPlan) -> Vec<String> {
        let mut risks = Vec::new();
        if plan.sampled_events < plan.events {
            risks.push(format!(
                "only {} of {} events were looked at; others may fail",
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
        if !partly.is_empty() {
            risks.push(format!(
                "only some events of a schema are changed or dropped, and the schema is retired as \
                 a whole, so later appends of it are refused: {}",
                partly.join(", ")
            ));
        }
        if !plan.ledger.reused.is_empty() {
            let schemas: Vec<_> = plan.ledger.reused.iter().map(ToString::to_string).collect();
            risks.push(format!(
                "changed events keep their type and schema version, so appends of old code cannot \
                 be told from those of new code{}: {}",
                match self.planned.on_retired {
                    None => ", and what becomes of them must be chosen (on_retired)",
                    Some(OnRetired::Refuse) => ", and both are refused",
                    Some(OnRetired::AcceptUnchanged) => ", and both are accepted unchanged",
                },
                schemas.join(", ")
            ));
        }
        if plan.ledger.dropped() > 0 {
            risks.push(format!(
                "{} events are dropped; they stay in the closed source{}",
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

    pub(super) fn risks_of_reversing(&self, plan: &MigrationPlan) -> Vec<String> {
        let mut risks = Vec::new();
        if plan.up_to_date > 0 {
            risks.push(format!(
                "{} objects stay as they are: the migration did not move them, or it is reversed",
                plan.up_to_date
            ));
        }
        if plan.ledger.dropped() > 0 {
            risks.push(format!(
                "{} events that came after the migration are dropped; they stay in the closed streams",
                plan.ledger.dropped()
            ));
        }
        risks
    }
}
