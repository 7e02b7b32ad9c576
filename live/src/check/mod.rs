//! Checks the responses that applications received against what is stored.
//!
//! Checks of each object: its chain of streams, hop by hop (I4); the response to every append, at
//! the exact position that it named; what was read and loaded on the way (R14, R15); and what an
//! application reads now, against the history as a whole (I1, I2, I3).

mod chain;
mod history;
mod reads;
mod told;

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context as _, Result, bail, ensure};
use esm_core::event::{Event, Revision};
use esm_core::id::ObjectId;
use esm_core::router::{ObjectReader, ReadPosition};
use esm_core::transform::Mapper;
use esm_objectstore::Store;
use futures::TryStreamExt as _;

use crate::history::{Answer, Attempt, Told};
use crate::transformation;
use crate::world::World;
use chain::Chain;

/// What was found right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Events that applications read now.
    pub(crate) events: u64,
    /// Appends that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Appends that were in conflict with another's.
    pub(crate) conflicts: u64,
    /// Appends whose outcome their application does not know.
    pub(crate) unknown: u64,
    /// Reads.
    pub(crate) reads: u64,
    /// Objects that continued in another stream.
    pub(crate) moved: u64,
    /// Objects whose originals were restored by a rollback.
    pub(crate) restored: u64,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            events,
            acknowledged,
            conflicts,
            unknown,
            reads,
            moved,
            restored,
        } = self;
        write!(
            f,
            "{acknowledged} appends acknowledged, {conflicts} in conflict, {unknown} unknown, \
             {reads} reads; {moved} objects moved, {restored} of them back; {events} events, each exactly once, in order"
        )
    }
}

/// Checks everything, and returns what was found, with the histories.
///
/// # Errors
/// What is wrong, in words: then something was lost, doubled, invented or moved, or an append or a
/// read failed.
pub(crate) async fn check(world: &World) -> Result<(Found, Told)> {
    let told = Told::read(&world.histories())?;
    if let Some(failure) = told.failures.first() {
        bail!("{} failed, first: {failure}", told.failures.len());
    }
    let store = world.look().await?;
    let up = Mapper::new(transformation::up()?);
    let down = Mapper::new(transformation::down()?);
    let mut found = Found::default();
    let mut attempts = BTreeMap::<&ObjectId, Vec<&Attempt>>::new();
    for attempt in &told.attempts {
        attempts.entry(&attempt.object).or_default().push(attempt);
        found.count(attempt)?;
    }
    found.reads = (told.reads.len() + told.loads.len()) as u64;
    for object in world.objects()? {
        let look = Look {
            store: &store,
            told: &told,
            images: Images {
                object: &object,
                up: &up,
                down: &down,
            },
            attempts: attempts.get(&object).map_or(&[], Vec::as_slice),
        };
        let looked = look.look(&mut found).await;
        looked.with_context(|| format!("{object}, in {}", world.storage().address()))?;
    }
    Ok((found, told))
}

impl Found {
    fn count(&mut self, attempt: &Attempt) -> Result<()> {
        match attempt.answered.as_ref().map(|answered| &answered.answer) {
            Some(Answer::Acknowledged(_)) => self.acknowledged += 1,
            Some(Answer::Conflict) => self.conflicts += 1,
            Some(Answer::Ambiguous) | None => self.unknown += 1,
            Some(Answer::Failed(what)) => {
                bail!("an append to {} failed: {what}", attempt.object)
            }
        }
        Ok(())
    }
}

/// Which of the two transformations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A migration's.
    Up,
    /// That of a rollback after its cutover.
    Down,
}

/// What the transformations make of an object's events.
#[derive(Debug, Clone, Copy)]
struct Images<'a> {
    object: &'a ObjectId,
    up: &'a Mapper,
    down: &'a Mapper,
}

impl Images<'_> {
    fn mapper(&self, way: Way) -> &Mapper {
        match way {
            Way::Up => self.up,
            Way::Down => self.down,
        }
    }

    /// The image of an event. No transformation here reads the revision.
    fn of(&self, way: Way, event: &Event) -> Result<Vec<Event>> {
        let mapped = self.mapper(way).map(self.object, Revision::START, event);
        Ok(mapped?.outputs)
    }

    fn all<'e>(&self, way: Way, events: impl IntoIterator<Item = &'e Event>) -> Result<Vec<Event>> {
        let mut all = Vec::new();
        for event in events {
            all.extend(self.of(way, event)?);
        }
        Ok(all)
    }

    /// What an event may have become, wherever it was appended and whatever its stream went through.
    fn possible(&self, event: &Event) -> Result<Vec<Vec<Event>>> {
        let up = self.of(Way::Up, event)?;
        let down = self.of(Way::Down, event)?;
        let both = self.all(Way::Down, &up)?;
        Ok(vec![vec![event.clone()], up, down, both])
    }
}

/// What is compared, of one object.
struct Look<'a> {
    store: &'a Store,
    told: &'a Told,
    images: Images<'a>,
    attempts: &'a [&'a Attempt],
}

impl Look<'_> {
    async fn look(&self, found: &mut Found) -> Result<()> {
        let (images, object) = (self.images, self.images.object);
        let chain = Chain::read(self.store, object).await?;
        chain.check_copies(images)?;
        told::check_appends(&chain, images, self.attempts)?;
        let reads = self.told.reads.iter().filter(|(of, _)| of == object);
        reads::check_reads(&chain, reads.map(|(_, seen)| seen.as_slice()))?;
        let loads = self.told.loads.iter().filter(|(of, _)| of == object);
        reads::check_loads(&chain, images, loads.map(|(_, loaded)| loaded))?;
        let read = self.read(&chain).await?;
        let history = history::replay(self.attempts)?;
        let possible = |event: &Event| images.possible(event).map_err(|e| format!("{e:#}"));
        let checked = history.check_images(&read, possible);
        checked.map_err(anyhow::Error::msg)?;
        found.events += read.len() as u64;
        found.moved += u64::from(chain.links().len() > 1);
        found.restored += u64::from(chain.end().way() == Some(Way::Down));
        Ok(())
    }

    /// What an application reads now: all of the stream at the chain's end, which the document
    /// names.
    async fn read(&self, chain: &Chain) -> Result<Vec<Event>> {
        let reader = ObjectReader::new(self.store.records(), self.store.event_store());
        let document = reader.documents().load(self.images.object).await?.document;
        let end = chain.end();
        ensure!(
            document.active.stream == end.stream,
            "the document names {}, the chain ends with {}",
            document.active.stream,
            end.stream
        );
        let read = reader.read(self.images.object, ReadPosition::Start);
        let read: Vec<_> = read.try_collect().await?;
        for (revision, recorded) in read.iter().enumerate() {
            let position = &recorded.position;
            ensure!(
                position.stream == end.stream && position.revision.0 == revision as u64,
                "an event was read at {position} instead of at {}@{revision}",
                end.stream
            );
        }
        Ok(read.into_iter().map(|recorded| recorded.event).collect())
    }
}
