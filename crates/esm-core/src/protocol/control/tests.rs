use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::id::CommandId;

fn id(number: u128) -> CommandId {
    CommandId::from_uuid(Uuid::from_u128(number))
}

fn command(number: u128, action: ControlAction) -> ControlEntry {
    ControlEntry::Command(Command {
        id: id(number),
        author: format!("author {number}"),
        at: Timestamp::UNIX_EPOCH,
        reason: String::new(),
        action,
    })
}

fn answer(number: u128, answer: Answer) -> ControlEntry {
    ControlEntry::Answer {
        command: id(number),
        answer,
        at: Timestamp::UNIX_EPOCH,
    }
}

fn refused() -> Answer {
    Answer::Refused {
        reason: "no".to_owned(),
    }
}

fn roll_back() -> ControlAction {
    ControlAction::RollBack {
        reason: "wrong".to_owned(),
    }
}

fn cancel() -> ControlAction {
    ControlAction::Cancel {
        reason: String::new(),
    }
}

fn slow() -> SettingsChange {
    SettingsChange {
        events_per_second: Some(Limit::At(7)),
        ..SettingsChange::default()
    }
}

fn state(entries: &[ControlEntry]) -> ControlState {
    let mut state = ControlState::default();
    entries.iter().for_each(|entry| state.apply(entry));
    assert_eq!(state.next_number, entries.len() as u64);
    state
}

/// What these actions come to when each is accepted at once.
fn desired(actions: &[ControlAction]) -> Desired {
    let entries = (1..).zip(actions).flat_map(|(number, action)| {
        [
            command(number, action.clone()),
            answer(number, Answer::Accepted),
        ]
    });
    state(&entries.collect::<Vec<_>>()).desired
}

#[test]
fn every_command_in_every_situation_is_answered() {
    use ControlAction::{CutOver, Pause, Resume, Set, WithdrawCutOver};
    let before_all: [(&str, &[ControlAction]); 4] = [
        ("nothing", &[]),
        ("to pause", &[Pause]),
        ("to cut over", &[CutOver]),
        ("to roll back", &[roll_back()]),
    ];
    let asked = [
        Pause,
        Resume,
        cancel(),
        roll_back(),
        CutOver,
        WithdrawCutOver,
        Set(slow()),
        Set(SettingsChange::default()),
    ];
    let mut table = String::new();
    for (name, before) in before_all {
        for bits in 0..8 {
            let situation = Situation {
                past_the_pivot: bits & 1 != 0,
                undoing: bits & 2 != 0,
                waits_for_cutover: bits & 4 != 0,
            };
            table += &format!("after {name}, {situation:?}\n");
            for action in &asked {
                let answer = judge(&desired(before), situation, action);
                table += &format!("  {action} -> {answer}\n");
            }
        }
    }
    insta::assert_snapshot!(table);
}

#[test]
fn accepted_commands_come_to_what_is_desired() {
    use ControlAction::{CutOver, Pause, Resume, Set, WithdrawCutOver};
    assert_eq!(desired(&[]), Desired::default());
    assert_eq!(desired(&[Pause]).paused_by.as_deref(), Some("author 1"));
    assert_eq!(desired(&[Pause, Resume]), Desired::default());
    assert_eq!(desired(&[CutOver]).cutover_by.as_deref(), Some("author 1"));
    assert_eq!(desired(&[CutOver, WithdrawCutOver]), Desired::default());
    let undo = |cancels, reason: &str| {
        let reason = reason.to_owned();
        Some(Undo { cancels, reason })
    };
    assert_eq!(
        desired(&[cancel()]).undo,
        undo(true, "asked for by author 1")
    );
    assert_eq!(
        desired(&[Pause, roll_back()]).undo,
        undo(false, "asked for by author 2: wrong")
    );
    let cells = SettingsChange {
        cell_events: Some(9),
        ..slow()
    };
    let faster = SettingsChange {
        events_per_second: Some(Limit::At(8)),
        ..SettingsChange::default()
    };
    let planned = Settings {
        concurrency: 3,
        ..Settings::default()
    };
    let both = desired(&[Set(cells), Set(faster)]).settings(planned);
    let wanted = Settings {
        events_per_second: Limit::At(8),
        cell_events: 9,
        ..planned
    };
    assert_eq!(both, wanted, "the newer one wins, the rest is as planned");
}

#[test]
fn what_was_accepted_is_taken_back_when_it_is_refused_in_the_end() {
    for action in [
        ControlAction::Pause,
        ControlAction::CutOver,
        cancel(),
        roll_back(),
    ] {
        let accepted = [command(1, action), answer(1, Answer::Accepted)];
        assert_ne!(state(&accepted).desired, Desired::default());
        let taken_back = [&accepted[..], &[answer(1, refused())]].concat();
        assert_eq!(state(&taken_back).desired, Desired::default());
        // a refusal is the end of it
        let late = [&taken_back[..], &[answer(1, Answer::Accepted)]].concat();
        assert_eq!(state(&late).desired, Desired::default());
    }
}

#[test]
fn a_refused_command_changes_nothing_and_only_its_own_answer_counts() {
    let pause = command(1, ControlAction::Pause);
    assert_eq!(
        state(std::slice::from_ref(&pause)).desired,
        Desired::default()
    );
    let refusal = state(&[pause.clone(), answer(1, refused())]);
    assert_eq!(refusal.desired, Desired::default());
    let another = state(&[pause.clone(), answer(2, Answer::Accepted)]);
    assert_eq!(another.desired, Desired::default());
    assert_eq!(another.find(id(1)).map(|c| &c.answer), Some(&None));
    assert_eq!(another.find(id(2)), None);
    // a command that is done at once was never accepted before
    let done = state(&[pause, answer(1, Answer::Done)]);
    assert_eq!(done.desired.paused_by.as_deref(), Some("author 1"));
}

#[test]
fn an_answer_that_comes_again_changes_nothing() {
    let entries = [
        command(1, ControlAction::Pause),
        answer(1, Answer::Accepted),
        command(2, ControlAction::Resume),
        answer(2, Answer::Done),
        answer(1, Answer::Accepted),
        answer(1, Answer::Done),
        answer(1, Answer::Accepted),
        answer(1, refused()),
    ];
    let state = state(&entries);
    assert_eq!(state.desired, Desired::default());
    let answer = state.find(id(1)).and_then(|c| c.answer.clone());
    assert_eq!(answer, Some(Answer::Done), "what is over stays so");
}

#[test]
fn commands_are_open_until_they_are_answered_and_accepted_until_they_are_done() {
    let ids = |commands: Vec<&Command>| commands.iter().map(|c| c.id).collect::<Vec<_>>();
    let state = state(&[
        command(1, ControlAction::Pause),
        command(2, ControlAction::Resume),
        command(3, ControlAction::CutOver),
        command(4, cancel()),
        command(1, cancel()),
        answer(1, Answer::Accepted),
        answer(2, Answer::Done),
        answer(3, refused()),
    ]);
    assert_eq!(ids(state.open().collect()), [id(4)]);
    assert_eq!(ids(state.accepted().collect()), [id(1)]);
    assert_eq!(state.commands.len(), 4, "a command sent twice is one");
    let first = state.find(id(1)).map(|c| &c.command.action);
    assert_eq!(first, Some(&ControlAction::Pause));
}

#[test]
fn the_newest_of_pause_and_resume_decides_also_before_it_is_answered() {
    use ControlAction::{CutOver, Pause, Resume};
    let accepted = [command(1, Pause), answer(1, Answer::Accepted)];
    let pauses = |before: &[ControlEntry], open: &[ControlAction]| {
        let open = (2..)
            .zip(open)
            .map(|(n, action)| command(n, action.clone()));
        state(&before.iter().cloned().chain(open).collect::<Vec<_>>()).pauses()
    };
    assert!(!pauses(&[], &[]) && !pauses(&[], &[CutOver]));
    assert!(pauses(&[], &[Pause]) && pauses(&[], &[Pause, CutOver]));
    assert!(!pauses(&[], &[Pause, Resume]) && pauses(&[], &[Resume, Pause]));
    assert!(pauses(&accepted, &[]) && pauses(&accepted, &[CutOver]));
    assert!(!pauses(&accepted, &[Resume]) && pauses(&accepted, &[Resume, Pause]));
    let refused = [command(1, Pause), answer(1, refused())];
    assert!(!pauses(&refused, &[]));
}

/// It may still be withdrawn: if it were forgotten, it would stay in force.
#[test]
fn an_accepted_command_is_not_forgotten() {
    let mut state = state(&[command(1, cancel()), answer(1, Answer::Accepted)]);
    for number in 2..600 {
        state.apply(&command(number, ControlAction::Set(slow())));
        state.apply(&answer(number, Answer::Done));
    }
    assert_eq!(state.commands.len(), 256);
    state.apply(&answer(1, refused()));
    assert_eq!(state.desired.undo, None);
}

#[test]
fn of_many_commands_the_oldest_answered_ones_are_forgotten_and_open_ones_never() {
    let mut state = ControlState::default();
    for number in 0..300 {
        state.apply(&command(number, ControlAction::Pause));
        if number % 2 == 1 {
            state.apply(&answer(number, refused()));
        }
    }
    assert_eq!(state.commands.len(), 256);
    assert_eq!(state.open().count(), 150);
    // 44 odd ones had to go, the oldest first; the last was answered after it came
    let oldest = state.commands.iter().find(|c| c.answer.is_some());
    assert_eq!(oldest.map(|c| c.command.id), Some(id(89)));
    for number in 300..420 {
        state.apply(&command(number, ControlAction::Pause));
    }
    assert_eq!(state.open().count(), 270, "an open one is never forgotten");
    assert_eq!(state.commands.len(), 270);
}
