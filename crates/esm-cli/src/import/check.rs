//! Checks that hold over all events of an input: their order, and that ids are unique.

use std::io;

use esm_core::event::Event;
use esm_core::id::ObjectId;
use esm_core::router::ObjectReader;
use esm_core::{Error, Result};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::incoming::{AtRecord, Incoming};
use super::records::Unit;
use super::sorter::Sorter;
use super::tally::Tally;
use super::target::State;
use crate::exit;
use crate::interrupt::Interrupt;

/// Collects what has to be checked of each event. Memory does not grow with the input.
///
/// Records are sorted, so that those of one object follow one another:
/// - its places, in the order of lines: `object NUL 0 line first count`, one record for events of
///   one object on consecutive lines;
/// - its ids: `object NUL 1 id NUL line`. Neither objects nor ids have control characters.
#[derive(Debug)]
pub(super) struct Check {
    /// What the numbers of records count.
    unit: Unit,
    records: Sorter,
    run: Option<Run>,
    events: u64,
}

const PLACE: u8 = 0;
const ID: u8 = 1;

/// Consecutive events of one object.
#[derive(Debug)]
struct Run {
    object: ObjectId,
    line: u64,
    first: u64,
    count: u64,
}

/// What is known once all events were checked.
#[derive(Debug)]
pub(super) struct Checked {
    /// Events and objects of the input.
    pub(super) tally: Tally,
    /// The error of the first line that is wrong.
    pub(super) wrong: Option<AtRecord>,
}

impl Check {
    /// Checks events of records that are counted so.
    pub(super) fn new(unit: Unit) -> Self {
        Self {
            unit,
            records: Sorter::default(),
            run: None,
            events: 0,
        }
    }

    /// Notes an event.
    ///
    /// # Errors
    /// Those of a temporary file.
    pub(super) fn note(&mut self, line: u64, incoming: &Incoming) -> Result<()> {
        add_id(&mut self.records, &incoming.object, &incoming.event, line).map_err(temporary)?;
        self.events += 1;
        let sequence = incoming.sequence;
        if let Some(run) = &mut self.run
            && run.object == incoming.object
            && run.first.checked_add(run.count) == Some(sequence)
        {
            run.count += 1;
            return Ok(());
        }
        let run = Run {
            object: incoming.object.clone(),
            line,
            first: sequence,
            count: 1,
        };
        self.run.replace(run).map_or(Ok(()), |run| self.end(&run))
    }

    fn end(&mut self, run: &Run) -> Result<()> {
        let numbers = [run.line, run.first, run.count].map(u64::to_be_bytes);
        let object = run.object.to_string();
        let parts = [object.as_bytes(), &[0, PLACE], numbers.as_flattened()];
        self.records.add(&parts).map_err(temporary)
    }

    /// Checks all events. An object that does not begin at sequence 0 must have the events before
    /// in the store, and ids of its own; without a reader there is no store.
    ///
    /// # Errors
    /// Those of a temporary file and of reading the store. `Cancelled`, unless the interrupt came
    /// before: also then the objects are counted.
    pub(super) async fn finish(
        mut self,
        reader: Option<&ObjectReader>,
        interrupt: &Interrupt,
    ) -> Result<Checked> {
        if let Some(run) = self.run.take() {
            self.end(&run)?;
        }
        let stop = Some(interrupt).filter(|interrupt| !interrupt.requested());
        let mut scan = Scan::new(self.unit);
        // ids of objects whose first events are in the store
        let mut ids = Sorter::default();
        let mut late = Vec::new();
        for (index, record) in self.records.into_sorted().map_err(temporary)?.enumerate() {
            let record = record.map_err(temporary)?;
            if let Some(begin) = scan.take(&record) {
                late.push(begin);
            }
            if scan.is_late {
                ids.add(&[&record]).map_err(temporary)?;
            }
            if late.len() >= LOOKED_UP_AT_ONCE {
                look_up(reader, std::mem::take(&mut late), &mut ids, &mut scan).await?;
            }
            if index % 1024 == 0 {
                stop.map_or(Ok(()), Interrupt::check)?;
                tokio::task::yield_now().await;
            }
        }
        look_up(reader, late, &mut ids, &mut scan).await?;
        for record in ids.into_sorted().map_err(temporary)? {
            scan.take_id(&record.map_err(temporary)?);
        }
        let tally = Tally {
            events: self.events,
            objects: scan.objects,
            ..Tally::default()
        };
        let wrong = scan.wrong;
        Ok(Checked { tally, wrong })
    }
}

/// Objects that are looked up in the store before the next are collected.
const LOOKED_UP_AT_ONCE: usize = 256;
const CONCURRENCY: usize = 16;

/// An object whose first event in the input is not its first event.
#[derive(Debug)]
struct Late {
    object: ObjectId,
    line: u64,
    first: u64,
}

/// Looks late objects up: the store must have all events before, whose ids are added to the others.
async fn look_up(
    reader: Option<&ObjectReader>,
    late: Vec<Late>,
    ids: &mut Sorter,
    scan: &mut Scan,
) -> Result<()> {
    let mut found = stream::iter(late)
        .map(|late| async move {
            let state = State::load(reader, &late.object).await;
            let reached = state.and_then(|state| {
                state.reaches(&late.object, late.first)?;
                Ok(state)
            });
            (late, reached)
        })
        .buffer_unordered(CONCURRENCY);
    while let Some((late, reached)) = found.next().await {
        let state = match reached {
            Ok(state) => state,
            Err(error) => {
                scan.found(late.line, error);
                continue;
            }
        };
        let Some(reader) = reader else { continue };
        let count = usize::try_from(late.first).unwrap_or(usize::MAX);
        let mut stored = state.stored(reader, &late.object, 0).take(count);
        while let Some(event) = stored.try_next().await? {
            add_id(ids, &late.object, &event, IN_STORE).map_err(temporary)?;
        }
    }
    Ok(())
}

/// In place of a line: the event is in the store.
const IN_STORE: u64 = 0;

fn add_id(records: &mut Sorter, object: &ObjectId, event: &Event, line: u64) -> io::Result<()> {
    let (name, key) = (object.name().as_str(), object.key().as_str());
    let id = event.id.as_str().as_bytes();
    let line = line.to_be_bytes();
    records.add(&[
        name.as_bytes(),
        b"/",
        key.as_bytes(),
        &[0, ID],
        id,
        &[0],
        &line,
    ])
}

fn temporary(error: io::Error) -> Error {
    let what = format!(
        "using a temporary file in {}",
        std::env::temp_dir().display()
    );
    exit::io(what, error)
}

/// Goes through the sorted records.
#[derive(Debug)]
struct Scan {
    unit: Unit,
    objects: u64,
    /// The object of the last place, its first sequence and the one that comes next.
    object: Vec<u8>,
    first: u64,
    next: u64,
    /// Whether its first event in the input is not its first event.
    is_late: bool,
    /// The record of the last id.
    id: Vec<u8>,
    wrong: Option<AtRecord>,
}

impl Scan {
    fn new(unit: Unit) -> Self {
        Self {
            unit,
            objects: 0,
            object: Vec::new(),
            first: 0,
            next: 0,
            is_late: false,
            id: Vec::new(),
            wrong: None,
        }
    }

    /// Checks the next record. Returns an object that has to be looked up.
    fn take(&mut self, record: &[u8]) -> Option<Late> {
        let end = memchr::memchr(0, record)?;
        if record[end + 1] == ID {
            self.take_id(record);
            return None;
        }
        let object = &record[..end];
        let [line, first, count] = [2, 10, 18].map(|at| number(&record[end + at..]));
        if object == self.object && first == self.next {
            self.next = self.next.saturating_add(count);
        } else if object == self.object {
            let error = out_of_order(&text(object), first, self.first, self.next);
            self.found(line, error);
        } else {
            self.objects += 1;
            self.object = object.to_vec();
            self.first = first;
            self.next = first.saturating_add(count);
            self.is_late = first > 0;
            let object = text(object).parse().ok()?;
            return self.is_late.then_some(Late {
                object,
                line,
                first,
            });
        }
        None
    }

    fn take_id(&mut self, record: &[u8]) {
        let (key, line) = record.split_at(record.len() - 8);
        let known = self.id.split_at_checked(self.id.len().wrapping_sub(8));
        if let Some((_, before)) = known.filter(|(known, _)| *known == key) {
            let mut parts = key.split(|byte| *byte == 0);
            let object = text(parts.next().unwrap_or_default());
            let id = text(&parts.next().unwrap_or_default()[1..]);
            let before = match number(before) {
                IN_STORE => "an event in the store has it".to_owned(),
                number => format!("{} {number} has it", self.unit),
            };
            let error = Error::invalid(format!("duplicate id in {object}: {id:?}: {before}"));
            let error = error.with_hint("ids must be unique in their object");
            self.found(number(line), error);
        }
        self.id = record.to_vec();
    }

    fn found(&mut self, line: u64, error: Error) {
        if self.wrong.as_ref().is_none_or(|known| line < known.number) {
            self.wrong = Some(AtRecord::new(line, error));
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The number in the first eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

fn out_of_order(object: &str, found: u64, first: u64, next: u64) -> Error {
    if found > next {
        return Error::invalid(format!(
            "gap in the events of {object}: sequence {next} must come next, found {found}"
        ))
        .with_hint("sort each object's events by sequence, and find out whether one is missing; streams that have \
             gaps where they come from are numbered anew with --renumber");
    }
    if found < first {
        return Error::invalid(format!(
            "events of {object} are out of order: sequence {found} after {first}"
        ))
        .with_hint("sort each object's events by sequence; an export of a table needs `order by`");
    }
    Error::invalid(format!(
        "duplicate event of {object}: sequence {found} occurs twice in the input"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use esm_core::id::{EventId, EventType};

    async fn checked(events: &[(u64, &str, u64, &str)]) -> Result<Checked> {
        let mut check = Check::new(Unit::Line);
        for (line, object, sequence, id) in events {
            let incoming = Incoming {
                object: object.parse()?,
                sequence: *sequence,
                event: Event::new(EventId::new(id)?, EventType::new("T")?, "{}"),
            };
            check.note(*line, &incoming)?;
        }
        check.finish(None, &Interrupt::never()).await
    }

    async fn wrong(events: &[(u64, &str, u64, &str)]) -> String {
        let wrong = checked(events).await.map(|checked| checked.wrong);
        wrong.unwrap().map_or_else(String::new, |wrong| {
            wrong.into_error(Unit::Line).to_string()
        })
    }

    #[tokio::test]
    async fn gaps_duplicates_and_disorder_are_distinguished() -> Result<()> {
        let good = [(1, "o/a", 0, "1"), (2, "o/b", 0, "1"), (3, "o/a", 1, "2")];
        let checked = checked(&good).await?;
        assert!(checked.wrong.is_none());
        assert_eq!(checked.tally.objects, 2);
        for (sequence, said) in [(3, "gap"), (1, "duplicate event"), (0, "duplicate event")] {
            let mut events = good.to_vec();
            events.push((9, "o/a", sequence, "3"));
            let text = wrong(&events).await;
            assert!(
                text.starts_with("line 9: ") && text.contains(said),
                "{text}"
            );
        }
        Ok(())
    }

    #[tokio::test]
    async fn an_id_is_unique_in_its_object_and_the_first_wrong_line_counts() {
        let text = wrong(&[
            (1, "o/a", 0, "x"),
            (2, "o/a", 1, "y"),
            (3, "o/ab", 0, "x"),
            (4, "o/a", 2, "x"),
            (5, "o/a", 3, "y"),
            (6, "o/ab", 2, "z"),
        ])
        .await;
        assert_eq!(text, "line 4: duplicate id in o/a: \"x\": line 1 has it");
    }

    #[tokio::test]
    async fn the_highest_sequence_is_a_gap() {
        let text = wrong(&[(1, "o/a", 0, "x"), (2, "o/a", u64::MAX, "y")]).await;
        assert!(text.starts_with("line 2: gap"), "{text}");
        let text = wrong(&[(1, "o/a", u64::MAX, "y"), (2, "o/a", 0, "x")]).await;
        assert!(text.starts_with("line 1: gap"), "{text}");
    }
}
