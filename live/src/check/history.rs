//! The history of an object, replayed in the order in which it happened.

use anyhow::Result;
use esm_testkit::observe::{Attempted, History};

use crate::history::{Answer, Attempt};

/// Replays what happened to an object, in the order of the machine's clock. Appends with equal
/// times count as concurrent: that claims no order.
pub(super) fn replay(attempts: &[&Attempt]) -> Result<History> {
    let mut moments = Vec::new();
    for (index, attempt) in attempts.iter().enumerate() {
        moments.push((attempt.invoked, false, index));
        moments.extend(
            attempt
                .answered
                .iter()
                .map(|answered| (answered.at, true, index)),
        );
    }
    moments.sort_unstable();
    let history = History::new();
    let mut begun: Vec<Option<Attempted>> = attempts.iter().map(|_| None).collect();
    for (_, is_answer, index) in moments {
        let attempt = attempts[index];
        if !is_answer {
            begun[index] = Some(history.begin(attempt.batch.events()?));
            continue;
        }
        let answer = attempt.answered.as_ref().map(|answered| &answered.answer);
        if let (Some(attempted), Some(answer)) = (begun[index].take(), answer) {
            match answer {
                Answer::Acknowledged(_) => attempted.acknowledged(),
                Answer::Conflict | Answer::Failed(_) => attempted.failed(),
                Answer::Ambiguous => attempted.ambiguous(),
            }
        }
    }
    Ok(history)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Answered;
    use crate::workload::{Batch, Edition};

    fn attempt(number: u64, invoked: u64, at: u64, answer: Answer) -> Attempt {
        Attempt {
            batch: Batch {
                writer: 1,
                number,
                count: 1,
                edition: Edition::New,
            },
            object: "order/1".parse().unwrap(),
            expected: None,
            invoked,
            answered: Some(Answered {
                at,
                nanoseconds: 1,
                requests: 1,
                answer,
            }),
        }
    }

    fn acknowledged() -> Answer {
        Answer::Acknowledged(esm_core::event::Position {
            stream: esm_core::id::StreamId::first(&"order/1".parse().unwrap()),
            revision: esm_core::event::Revision(0),
        })
    }

    #[test]
    fn order_loss_and_invention_are_found_out_and_what_was_on_at_once_may_stand_either_way() {
        let (first, second) = (
            attempt(1, 10, 20, acknowledged()),
            attempt(2, 30, 40, acknowledged()),
        );
        let at_once = attempt(2, 20, 40, acknowledged());
        let conflict = attempt(2, 30, 40, Answer::Conflict);
        let event = |attempt: &Attempt| attempt.batch.events().unwrap().remove(0);
        let (one, two) = (event(&first), event(&second));
        let check =
            |attempts: &[&Attempt], found: &[_]| replay(attempts).unwrap().check(found).is_ok();
        assert!(check(&[&second, &first], &[one.clone(), two.clone()]));
        assert!(!check(&[&first, &second], &[two.clone(), one.clone()]));
        assert!(check(&[&first, &at_once], &[two.clone(), one.clone()]));
        assert!(!check(&[&first, &second], std::slice::from_ref(&one)));
        assert!(!check(&[&first], &[one.clone(), two.clone()]));
        assert!(check(&[&first, &conflict], std::slice::from_ref(&one)));
        assert!(!check(&[&first, &conflict], &[one, two]));
    }
}
