//! Following an object's events live.

use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use crate::backoff::BackOff;
use crate::clock::Environment;
use crate::error::{Error, ErrorKind, Result};
use crate::id::ObjectId;
use crate::router::read::events::{ReadPosition, Reading, RecordedEvent};
use crate::router::read::reader::ObjectReader;

/// How a tail polls for new events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TailOptions {
    pub(in crate::router) shortest: Duration,
    pub(in crate::router) longest: Duration,
    pub(in crate::router) patience: u32,
}

impl Default for TailOptions {
    /// Polls after about 50 ms, then at doubling intervals of up to two seconds; tolerates ten
    /// consecutive failures.
    fn default() -> Self {
        Self {
            shortest: Duration::from_millis(50),
            longest: Duration::from_secs(2),
            patience: 10,
        }
    }
}

impl TailOptions {
    /// The pause right after an event, and the longest pause while none is appended; both jittered.
    #[must_use]
    pub fn pauses(mut self, shortest: Duration, longest: Duration) -> Self {
        (self.shortest, self.longest) = (shortest, longest);
        self
    }

    /// Consecutive polls that may fail because the storage is unavailable.
    #[must_use]
    pub fn patience(mut self, failures: u32) -> Self {
        self.patience = failures;
        self
    }

    fn poll(&self) -> BackOff {
        BackOff::unlimited(self.shortest, self.longest)
    }
}

struct Tailing {
    reading: Reading,
    reader: ObjectReader,
    environment: Environment,
    options: TailOptions,
    poll: BackOff,
    failures: u32,
    /// Whether the place that it began at was found in the stream.
    checked: bool,
}

pub(in crate::router) fn tail(
    reader: ObjectReader,
    environment: Environment,
    options: TailOptions,
    object: ObjectId,
    from: ReadPosition,
) -> BoxStream<'static, Result<RecordedEvent>> {
    let tailing = Tailing {
        reading: Reading::new(reader.clone(), object, from),
        reader,
        environment,
        options,
        poll: options.poll(),
        failures: 0,
        checked: false,
    };
    stream::try_unfold(tailing, |mut tailing| async move {
        let events = tailing.next().await?;
        Ok::<_, Error>(Some((events, tailing)))
    })
    .map_ok(|events| stream::iter(events).map(Ok))
    .try_flatten()
    .boxed()
}

impl Tailing {
    /// The next events, whenever they come.
    async fn next(&mut self) -> Result<Vec<RecordedEvent>> {
        loop {
            match self.look().await {
                Ok(events) if events.is_empty() => self.failures = 0,
                Ok(events) => {
                    self.failures = 0;
                    self.poll = self.options.poll();
                    self.checked = true;
                    return Ok(events);
                }
                Err(error) if *error.kind() == ErrorKind::Unavailable => {
                    self.failures += 1;
                    if self.failures > self.options.patience {
                        return Err(error);
                    }
                    self.wait().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The events that are there now; waits where there are none.
    async fn look(&mut self) -> Result<Vec<RecordedEvent>> {
        if let Some(events) = self.reading.next().await? {
            return Ok(events);
        }
        self.refuse_beyond().await?;
        self.wait().await;
        self.reading.go_on();
        Ok(Vec::new())
    }

    /// Refuses a place beyond the end: a stream that is closed before it never reaches it.
    async fn refuse_beyond(&mut self) -> Result<()> {
        let Some(place) = self.reading.end().filter(|_| !self.checked) else {
            return Ok(());
        };
        let stream = place.stream();
        let store = self.reader.stores().of(stream)?;
        let end = store.tail(&stream.stream).await?.next_revision();
        if place.next > end {
            return Err(Error::invalid(format!(
                "position beyond the end: revision {} of {stream}, which has {end} events",
                place.next
            ))
            .with_hint("use a position that a read or an append gave"));
        }
        self.checked = true;
        Ok(())
    }

    async fn wait(&mut self) {
        self.poll.pause(&self.environment).await;
    }
}
