//! The trials of a self-test.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::cell::CLOSE;
use crate::native::{CloseProof, Entry, NativeStore, Recorded, SliceLimit};
use crate::trial::{Trial, found, refusal};
use esm_core::clock::Environment;
use esm_core::event::{Event, SchemaVersion};
use esm_core::id::{EventId, EventType, StreamId};
use esm_core::store::Shortcoming;
use esm_core::{Error, ErrorKind, Result};

/// Number of concurrent writers in a trial.
const RACERS: u64 = 8;

/// Number of races in a trial.
const ROUNDS: u64 = 4;

/// A store under test, and the streams that the trials use.
#[derive(Debug)]
pub(super) struct Probe<'a> {
    pub(super) native: &'a Arc<dyn NativeStore>,
    name: String,
    streams: Vec<StreamId>,
}

fn event(id: impl AsRef<str>, event_type: &str) -> Result<Event> {
    Ok(Event::new(
        EventId::new(id)?,
        EventType::new(event_type)?,
        "{}",
    ))
}

/// An entry as esm writes it, with a mark that is never decoded.
fn marked(id: impl AsRef<str>) -> Result<Entry> {
    let mark = Some(format!("{{\"probe\":\"{}\"}}", id.as_ref()));
    Ok(Entry {
        event: event(id, "esm.Probe")?,
        mark,
    })
}

fn closing() -> Result<Entry> {
    Ok(Entry {
        event: event("close", CLOSE)?,
        mark: Some("{\"probe\":\"close\"}".to_owned()),
    })
}

/// An entry whose event has every attribute.
fn rich() -> Result<Entry> {
    let mut event = event("probe \"1\" é 🛒", "Odd type: ü/\\")?;
    event.schema_version = SchemaVersion(7);
    event.content_type = Some("application/x-probe; v=\"1\"".to_owned());
    event.time = Some("2024-02-30T25:61:61.123456789+14:30".to_owned());
    event.payload = (0..=255).collect::<Vec<u8>>().into();
    event.metadata.insert("text", "a \"quoted\"\n\ttext é")?;
    event
        .metadata
        .insert("flag", esm_core::event::MetadataValue::Boolean(true))?;
    event
        .metadata
        .insert("number", esm_core::event::MetadataValue::Integer(i64::MIN))?;
    event.metadata.insert("digits", "123")?;
    Ok(Entry {
        event,
        mark: Some("{\"probe\":\"\\u00e9\"}".to_owned()),
    })
}

impl<'a> Probe<'a> {
    pub(super) fn new(native: &'a Arc<dyn NativeStore>, environment: &Environment) -> Result<Self> {
        let name = format!("esm-probe-{}", environment.uuid_v4().simple());
        Ok(Self {
            native,
            name,
            streams: Vec::new(),
        })
    }

    fn stream(&mut self) -> Result<StreamId> {
        let stream = StreamId::new(format!("{}-{}", self.name, self.streams.len()))?;
        self.streams.push(stream.clone());
        Ok(stream)
    }

    /// A fresh stream with this many entries.
    async fn filled(&mut self, entries: u64) -> Trial<StreamId> {
        let stream = self.stream()?;
        let all = (0..entries)
            .map(|n| marked(format!("e{n}")))
            .collect::<Result<_>>()?;
        self.native.append(&stream, 0, all).await?;
        Ok(stream)
    }

    async fn all(&self, stream: &StreamId) -> Result<Vec<Recorded>> {
        let mut all = Vec::<Recorded>::new();
        loop {
            let limit = SliceLimit {
                entries: 64,
                bytes: 1 << 20,
            };
            let slice = self.native.read(stream, all.len() as u64, limit).await?;
            if slice.entries.is_empty() {
                return Ok(all);
            }
            all.extend(slice.entries);
        }
    }

    /// Guarantee 4.
    pub(super) async fn content_comes_back(&mut self) -> Trial {
        let (stream, entry) = (self.stream()?, rich()?);
        self.native.append(&stream, 0, vec![entry.clone()]).await?;
        let last = self.native.last(&stream).await?;
        let read = self.all(&stream).await?;
        if read.first() != last.as_ref() || read.len() != 1 {
            let seen = format!("one entry was appended, and read as {read:?} and as {last:?}");
            return found(Shortcoming::ContentChanged, seen);
        }
        let found_entry = read.into_iter().map(|recorded| recorded.entry).next();
        if found_entry.as_ref() == Some(&entry) {
            Ok(())
        } else {
            found(Shortcoming::ContentChanged, difference(&entry, found_entry))
        }
    }

    /// Guarantees 1 and 2, one writer at a time.
    pub(super) async fn appends_are_exact(&mut self) -> Trial {
        let stream = self.filled(3).await?;
        for expected in [0, 1, 2, 4, 100] {
            let entries = vec![marked("x")?, marked("y")?];
            let answer = self.native.append(&stream, expected, entries).await;
            self.ensure_conflict(answer, expected, 3)?;
        }
        self.ensure_entries(&stream, &["e0", "e1", "e2"], Shortcoming::InexactAppends)
            .await
    }

    /// Passes if the store responded with a conflict.
    fn ensure_conflict(&self, answer: Result<()>, expected: u64, actual: u64) -> Trial {
        let seen = match answer {
            Err(e) if matches!(e.kind(), ErrorKind::Conflict { .. }) => return Ok(()),
            Err(e) if matches!(e.kind(), ErrorKind::Unavailable | ErrorKind::Ambiguous) => {
                return Err(e.into());
            }
            Err(e) => format!("failed with {:?} instead of Conflict: {e}", e.kind()),
            Ok(()) => "succeeded".to_owned(),
        };
        let seen = format!("an append that expects {expected} of {actual} entries {seen}");
        found(Shortcoming::InexactAppends, seen)
    }

    async fn ensure_entries(
        &self,
        stream: &StreamId,
        expected: &[&str],
        shortcoming: Shortcoming,
    ) -> Trial {
        let all = self.all(stream).await?;
        let ids: Vec<_> = all.iter().map(|e| e.entry.event.id.as_str()).collect();
        let in_order = (0..).zip(&all).all(|(n, e)| e.position == n);
        if ids == expected && in_order {
            return Ok(());
        }
        let positions: Vec<_> = all.iter().map(|e| e.position).collect();
        let seen = format!("entries {expected:?} became {ids:?} at {positions:?}");
        found(shortcoming, seen)
    }

    /// Guarantees 1 and 2, many writers at once: every other one expects a number of entries that
    /// the stream never has, because two are appended at a time.
    pub(super) async fn one_of_many_appends_wins(&mut self) -> Trial {
        let stream = self.filled(1).await?;
        for round in 0..ROUNDS {
            let expected = 1 + 2 * round;
            let mut racing = JoinSet::new();
            for racer in 0..RACERS {
                let (native, stream) = (Arc::clone(self.native), stream.clone());
                let id = |n| format!("r{round}-{racer}-{n}");
                let entries = vec![marked(id(0))?, marked(id(1))?];
                racing.spawn(async move {
                    let answer = native.append(&stream, expected + racer % 2, entries).await;
                    (racer, answer)
                });
            }
            let winners = self.winners(racing, expected).await?;
            let [winner] = winners[..] else {
                let seen = format!(
                    "of {RACERS} appends of 2 entries these succeeded: {winners:?}; even ones \
                     expect {expected} entries, odd ones one more"
                );
                return found(Shortcoming::InexactAppends, seen);
            };
            let all = self.all(&stream).await?;
            let prefix = format!("r{round}-{winner}-");
            let own = all
                .iter()
                .skip(usize::try_from(expected).unwrap_or(usize::MAX));
            let own: Vec<_> = own.map(|e| e.entry.event.id.as_str()).collect();
            if own != [format!("{prefix}0"), format!("{prefix}1")] {
                let seen =
                    format!("append {winner} succeeded, and the stream has {own:?} in its place");
                return found(Shortcoming::InexactAppends, seen);
            }
        }
        Ok(())
    }

    /// The writers that succeeded; all others received a conflict.
    async fn winners(
        &self,
        mut racing: JoinSet<(u64, Result<()>)>,
        expected: u64,
    ) -> Trial<Vec<u64>> {
        let mut winners = Vec::new();
        while let Some(done) = racing.join_next().await {
            let (racer, answer) = done.map_err(|panic| {
                Error::invalid("an append of the self-test panicked").with_source(panic)
            })?;
            match answer {
                Ok(()) => winners.push(racer),
                lost => self.ensure_conflict(lost, expected, expected)?,
            }
        }
        winners.sort_unstable();
        Ok(winners)
    }

    /// Guarantees 2 and 5: a close is no exception.
    pub(super) async fn a_close_is_exact(&mut self) -> Trial {
        let stream = self.filled(3).await?;
        for expected in [0, 2, 4] {
            if !refusal(self.native.close(&stream, expected, closing()?).await)? {
                let seen = format!("a close that expects {expected} of 3 entries succeeded");
                return found(Shortcoming::CloseNotAtomic, seen);
            }
        }
        let shortcoming = Shortcoming::CloseNotAtomic;
        self.ensure_entries(&stream, &["e0", "e1", "e2"], shortcoming)
            .await?;
        // a close that was refused has not closed anything
        if refusal(self.native.append(&stream, 3, vec![marked("e3")?]).await)? {
            return found(shortcoming, "a close that was refused keeps writers out");
        }
        self.ensure_entries(&stream, &["e0", "e1", "e2", "e3"], shortcoming)
            .await
    }

    /// Guarantees 2 and 5: of closes and appends at the same position exactly one succeeds.
    pub(super) async fn one_of_closes_and_appends_wins(&mut self) -> Trial {
        for _ in 0..ROUNDS {
            let stream = self.filled(2).await?;
            let mut racing = JoinSet::new();
            for racer in 0..RACERS {
                let (native, stream) = (Arc::clone(self.native), stream.clone());
                let (entry, close) = (marked(format!("r{racer}"))?, closing()?);
                racing.spawn(async move {
                    let answer = match racer % 2 {
                        0 => native.append(&stream, 2, vec![entry]).await,
                        _ => native.close(&stream, 2, close).await,
                    };
                    (racer, answer)
                });
            }
            let winners = self.winners(racing, 2).await?;
            let [winner] = winners[..] else {
                let seen = format!(
                    "of {RACERS} appends and closes that expect 2 entries these succeeded: \
                     {winners:?} (odd ones are closes)"
                );
                return found(Shortcoming::CloseNotAtomic, seen);
            };
            let own = match winner % 2 {
                0 => format!("r{winner}"),
                _ => "close".to_owned(),
            };
            let shortcoming = Shortcoming::CloseNotAtomic;
            self.ensure_entries(&stream, &["e0", "e1", &own], shortcoming)
                .await?;
        }
        Ok(())
    }

    /// Guarantee 5: no old writer can append, and where the store itself refuses, no writer at all.
    pub(super) async fn nothing_follows_a_close(&mut self) -> Trial<StreamId> {
        let stream = self.filled(2).await?;
        self.native.close(&stream, 2, closing()?).await?;
        self.is_still_closed(&stream).await?;
        Ok(stream)
    }

    /// Guarantee 5, on a stream that was closed before.
    pub(super) async fn is_still_closed(&self, stream: &StreamId) -> Trial {
        for (expected, how) in [(Some(3), "at its end"), (None, "without an expectation")] {
            let late = event("late", "esm.Probe")?;
            let answer = self
                .native
                .append_as_old_writer(stream, expected, late)
                .await;
            if !refusal(answer)? {
                let seen = format!("a writer of old appended {how} of a closed stream");
                return found(Shortcoming::CloseNotHonoured, seen);
            }
        }
        if self.native.profile().proof == CloseProof::StoreRefuses {
            let answer = self.native.append(stream, 3, vec![marked("late")?]).await;
            if !refusal(answer)? {
                let seen = "the store took an append at the end of a closed stream";
                return found(Shortcoming::CloseNotHonoured, seen);
            }
        }
        self.ensure_entries(
            stream,
            &["e0", "e1", "close"],
            Shortcoming::CloseNotHonoured,
        )
        .await
    }

    /// Deletes the streams of the trials except one, where the store can. Leftovers are harmless.
    pub(super) async fn clean_up(&self, keep: Option<&StreamId>) {
        if !self.native.profile().delete {
            return;
        }
        for stream in self.streams.iter().filter(|stream| Some(*stream) != keep) {
            let _ = self.native.delete(stream).await;
        }
    }
}

/// Names the parts of an entry that changed.
fn difference(wanted: &Entry, found: Option<Entry>) -> String {
    let Some(found) = found else {
        return "the entry is missing".to_owned();
    };
    let (w, f) = (&wanted.event, &found.event);
    let parts = [
        ("mark", wanted.mark == found.mark),
        ("id", w.id == f.id),
        ("type", w.event_type == f.event_type),
        ("schema version", w.schema_version == f.schema_version),
        ("content type", w.content_type == f.content_type),
        ("time", w.time == f.time),
        ("metadata", w.metadata == f.metadata),
        ("payload", w.payload == f.payload),
    ];
    let changed = parts.into_iter().filter(|(_, same)| !same);
    let changed: Vec<_> = changed.map(|(part, _)| part).collect();
    format!("these parts changed: {}", changed.join(", "))
}
