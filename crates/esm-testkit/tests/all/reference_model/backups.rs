//! Backups: lists of items with a name, and writers of them.

use std::collections::BTreeMap;

use esm_core::event::Event;
use esm_core::id::{BackupId, StoreId, StreamId, StreamRef};
use esm_core::store::{
    BackupDraft, BackupItem, BackupKind, BackupManifest, BackupProvider as _, BackupSection,
    BackupSettings, BackupWriter, SectionSummary,
};
use esm_core::{ErrorKind, Result};
use esm_testkit::memory::MemoryBackups;
use esm_testkit::{environment, event};
use futures::TryStreamExt as _;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest};

use super::models::at_once;

const WRITERS: usize = 2;
const NAMES: usize = 3;

/// What is written; sections, events and ends are numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    Section(u8),
    Events(Vec<u16>),
    End(u8),
}

impl Item {
    fn is_section(&self) -> bool {
        matches!(self, Self::Section(_))
    }

    fn count(&self) -> usize {
        match self {
            Self::Events(numbers) => numbers.len(),
            Self::Section(_) | Self::End(_) => 0,
        }
    }

    fn stored(&self) -> BackupItem {
        match self {
            Self::Section(number) => BackupItem::Section(Box::new(section(*number))),
            Self::Events(numbers) => BackupItem::Events(events(numbers)),
            Self::End(number) => BackupItem::End(summary(*number)),
        }
    }
}

fn section(number: u8) -> BackupSection {
    let store = StoreId::from_uuid(environment(1).uuid_v4());
    let stream = StreamId::new(format!("stream-{number}")).expect("a valid id");
    BackupSection {
        object: format!("order/{number}").parse().expect("a valid id"),
        stream: StreamRef::new(store, stream),
        document: None,
    }
}

fn events(numbers: &[u16]) -> Vec<Event> {
    let event = |number: &u16| event(format!("e{number}"), "T");
    numbers.iter().map(event).collect()
}

fn summary(number: u8) -> SectionSummary {
    SectionSummary {
        events: number.into(),
        hash: number.to_string(),
    }
}

#[derive(Debug, Clone)]
pub(crate) enum Call {
    /// The writer that was there before is dropped.
    Create {
        writer: usize,
        name: usize,
    },
    Write {
        writer: usize,
        item: Item,
    },
    Finish {
        writer: usize,
    },
    Drop {
        writer: usize,
    },
    Delete {
        name: usize,
    },
    Corrupt {
        name: usize,
    },
    Truncate {
        name: usize,
    },
}

/// What a call is to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Answer {
    #[default]
    Done,
    Invalid,
    Taken,
    /// There was no writer, or nothing to spoil.
    Nothing,
}

#[derive(Debug, Clone, Default)]
struct Writing {
    name: usize,
    items: Vec<Item>,
}

impl Writing {
    fn in_section(&self) -> bool {
        let last = self.items.last();
        last.is_some_and(|item| !matches!(item, Item::End(_)))
    }
}

#[derive(Debug, Clone)]
struct Finished {
    written: Vec<Item>,
    /// What is left of it.
    items: Vec<Item>,
    /// A byte is another.
    changed: bool,
}

impl Finished {
    fn is_spoilt(&self) -> bool {
        self.changed || self.items.len() < self.written.len()
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Model {
    writers: [Option<Writing>; WRITERS],
    finished: BTreeMap<usize, Finished>,
    answer: Answer,
}

impl Model {
    fn create(&mut self, writer: usize, name: usize) -> Answer {
        let taken = self.finished.contains_key(&name);
        let items = Vec::new();
        self.writers[writer] = (!taken).then_some(Writing { name, items });
        if taken { Answer::Taken } else { Answer::Done }
    }

    fn write(&mut self, writer: usize, item: &Item) -> Answer {
        let Some(writing) = &mut self.writers[writer] else {
            return Answer::Nothing;
        };
        if writing.in_section() == item.is_section() {
            return Answer::Invalid;
        }
        writing.items.push(item.clone());
        Answer::Done
    }

    fn finish(&mut self, writer: usize) -> Answer {
        match self.writers[writer].take() {
            None => Answer::Nothing,
            Some(writing) if writing.in_section() => Answer::Invalid,
            Some(writing) if self.finished.contains_key(&writing.name) => Answer::Taken,
            Some(Writing { name, items }) => {
                let finished = Finished {
                    written: items.clone(),
                    items,
                    changed: false,
                };
                self.finished.insert(name, finished);
                Answer::Done
            }
        }
    }

    fn corrupt(&mut self, name: usize) -> Answer {
        let finished = self.finished.get_mut(&name);
        let finished = finished.filter(|left| left.items.iter().any(|item| item.count() > 0));
        spoilt(finished.map(|finished| finished.changed = true).is_some())
    }

    fn truncate(&mut self, name: usize) -> Answer {
        let finished = self.finished.get_mut(&name);
        spoilt(finished.is_some_and(|finished| cut_off(&mut finished.items)))
    }
}

fn cut_off(items: &mut Vec<Item>) -> bool {
    let last = items.iter().rposition(Item::is_section);
    items.truncate(last.unwrap_or(items.len()));
    last.is_some()
}

fn items() -> impl Strategy<Value = Item> {
    prop_oneof![
        any::<u8>().prop_map(Item::Section),
        vec(any::<u16>(), 0..3).prop_map(Item::Events),
        any::<u8>().prop_map(Item::End),
    ]
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Call;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Call> {
        let writing = state.writers.clone();
        let in_section = writing.map(|writing| writing.is_some_and(|writing| writing.in_section()));
        // mostly what may follow: else few backups would have a second section
        let writes = (0..WRITERS, items(), any::<u8>()).prop_map(move |(writer, item, number)| {
            let item = match (in_section[writer], &item) {
                (false, Item::Events(_)) if number % 8 > 0 => Item::Section(number),
                (true, Item::Section(_)) if number % 8 > 0 => Item::End(number),
                _ => item,
            };
            Call::Write { writer, item }
        });
        prop_oneof![
            4 => (0..WRITERS, 0..NAMES).prop_map(|(writer, name)| Call::Create { writer, name }),
            32 => writes,
            4 => (0..WRITERS).prop_map(|writer| Call::Finish { writer }),
            1 => (0..WRITERS).prop_map(|writer| Call::Drop { writer }),
            2 => (0..NAMES).prop_map(|name| Call::Delete { name }),
            2 => (0..NAMES).prop_map(|name| Call::Corrupt { name }),
            2 => (0..NAMES).prop_map(|name| Call::Truncate { name }),
        ]
        .boxed()
    }

    fn apply(mut state: Self, call: &Call) -> Self {
        state.answer = match call {
            Call::Create { writer, name } => state.create(*writer, *name),
            Call::Write { writer, item } => state.write(*writer, item),
            Call::Finish { writer } => state.finish(*writer),
            Call::Drop { writer } => {
                state.writers[*writer] = None;
                Answer::Done
            }
            Call::Delete { name } => {
                state.finished.remove(name);
                Answer::Done
            }
            Call::Corrupt { name } => state.corrupt(*name),
            Call::Truncate { name } => state.truncate(*name),
        };
        state
    }
}

fn backup_id(name: usize) -> BackupId {
    BackupId::new(format!("backup-{name}")).expect("a valid name")
}

fn draft(name: usize) -> BackupDraft {
    BackupDraft {
        id: backup_id(name),
        kind: BackupKind::Backup,
        migration: None,
        created_at: environment(1).clock.now(),
        settings: BackupSettings::default(),
    }
}

fn answer<T>(result: Result<T>) -> Answer {
    match result.map_err(|error| error.kind().clone()) {
        Ok(_) => Answer::Done,
        Err(ErrorKind::Invalid) => Answer::Invalid,
        Err(ErrorKind::AlreadyExists) => Answer::Taken,
        Err(kind) => panic!("an answer that the model does not know: {kind:?}"),
    }
}

fn spoilt(could: bool) -> Answer {
    if could { Answer::Done } else { Answer::Nothing }
}

#[derive(Debug)]
pub(crate) struct Backups {
    stored: MemoryBackups,
    writers: [Option<Box<dyn BackupWriter>>; WRITERS],
}

impl Backups {
    fn create(&mut self, writer: usize, name: usize) -> Answer {
        let created = at_once(self.stored.create(draft(name)));
        self.writers[writer] = None;
        answer(created.map(|created| self.writers[writer] = Some(created)))
    }

    fn write(&mut self, writer: usize, item: &Item) -> Answer {
        let Some(writer) = &mut self.writers[writer] else {
            return Answer::Nothing;
        };
        answer(match item {
            Item::Section(number) => at_once(writer.section(section(*number))),
            Item::Events(numbers) => at_once(writer.events(&events(numbers))),
            Item::End(number) => at_once(writer.end(summary(*number))),
        })
    }

    fn finish(&mut self, writer: usize) -> Answer {
        match self.writers[writer].take() {
            Some(writer) => answer(at_once(writer.finish())),
            None => Answer::Nothing,
        }
    }

    /// A spoilt backup can be read as far as it goes, and not to its end.
    fn check_contents(&self, id: &BackupId, finished: &Finished) {
        let mut reader = at_once(self.stored.open(id)).expect("it is there");
        for item in &finished.items {
            let found = at_once(reader.next()).expect("it can be read");
            assert!(
                finished.changed || found == Some(item.stored()),
                "{found:?}"
            );
        }
        let end = at_once(reader.next()).map_err(|error| error.kind().clone());
        let whole = (!finished.is_spoilt()).then_some(None);
        assert_eq!(end, whole.ok_or(ErrorKind::Corrupt));
    }

    fn check_manifest(&self, id: &BackupId, finished: &Finished) -> BackupManifest {
        let manifest = at_once(self.stored.manifest(id)).expect("it is there");
        let sections = || finished.written.iter().filter(|item| item.is_section());
        let events: usize = finished.written.iter().map(Item::count).sum();
        assert_eq!(&manifest.id, id);
        assert_eq!(manifest.sections, sections().count() as u64);
        assert_eq!(manifest.events, events as u64);
        let first = sections().next().map(Item::stored);
        let first = first.and_then(|item| match item {
            BackupItem::Section(section) => Some(section.object),
            _ => None,
        });
        assert_eq!(manifest.first_object, first);
        manifest
    }

    fn check_missing(&self, id: &BackupId) {
        let manifest = at_once(self.stored.manifest(id)).map(drop);
        for answer in [manifest, at_once(self.stored.open(id)).map(drop)] {
            let kind = answer.map_err(|error| error.kind().clone());
            assert_eq!(kind, Err(ErrorKind::NotFound));
        }
    }
}

impl StateMachineTest for Backups {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(_: &Model) -> Self {
        Self {
            stored: MemoryBackups::new(),
            writers: [const { None }; WRITERS],
        }
    }

    fn apply(mut backups: Self, after: &Model, call: Call) -> Self {
        let answer = match call {
            Call::Create { writer, name } => backups.create(writer, name),
            Call::Write { writer, item } => backups.write(writer, &item),
            Call::Finish { writer } => backups.finish(writer),
            Call::Drop { writer } => {
                backups.writers[writer] = None;
                Answer::Done
            }
            Call::Delete { name } => answer(at_once(backups.stored.delete(&backup_id(name)))),
            Call::Corrupt { name } => spoilt(backups.stored.corrupt(&backup_id(name))),
            Call::Truncate { name } => spoilt(backups.stored.truncate(&backup_id(name))),
        };
        assert_eq!(answer, after.answer);
        backups
    }

    fn check_invariants(backups: &Self, model: &Model) {
        let mut manifests = Vec::new();
        for name in 0..NAMES {
            let id = backup_id(name);
            match model.finished.get(&name) {
                Some(finished) => {
                    backups.check_contents(&id, finished);
                    manifests.push(backups.check_manifest(&id, finished));
                }
                None => backups.check_missing(&id),
            }
        }
        let listed: Vec<_> = at_once(backups.stored.list().try_collect()).expect("a list");
        assert_eq!(listed, manifests);
        let ids: Vec<_> = manifests.into_iter().map(|manifest| manifest.id).collect();
        assert_eq!(backups.stored.ids(), ids);
    }
}
