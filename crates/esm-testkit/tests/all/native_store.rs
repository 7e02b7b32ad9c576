//! The native store in memory keeps what its trait promises, under any sequence of calls.

use esm_core::event::Event;
use esm_core::id::{EventId, EventType, StreamId};
use esm_core::store::StoreLimits;
use esm_core::{ErrorKind, Result};
use esm_foreign::{
    CLOSE, CloseProof, Entry, NativeStore as _, Profile, Recorded, Slice, SliceLimit,
};
use esm_testkit::memory::MemoryNativeStore;
use futures::FutureExt as _;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

fn at_once<T>(call: impl Future<Output = T>) -> T {
    call.now_or_never().expect("a fake never waits")
}

fn stream() -> StreamId {
    StreamId::new("orders").expect("a valid id")
}

fn event(number: usize, event_type: &str) -> Event {
    let id = EventId::new(format!("e{number}")).expect("a valid id");
    Event::new(id, EventType::new(event_type).expect("a valid type"), "{}")
}

/// A call; `off` says by how much its expected number of entries is wrong.
#[derive(Debug, Clone)]
enum Call {
    /// Appends entries, with a mark or without.
    Append {
        off: i8,
        marked: Vec<bool>,
    },
    Close {
        off: i8,
    },
    AppendAsOldWriter {
        off: Option<i8>,
    },
    Delete,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let off = || select(vec![0, 0, 0, 0, 1, -1]);
    let call = prop_oneof![
        6 => (off(), vec(any::<bool>(), 1..4)).prop_map(|(off, marked)| Call::Append { off, marked }),
        1 => off().prop_map(|off| Call::Close { off }),
        2 => proptest::option::of(off()).prop_map(|off| Call::AppendAsOldWriter { off }),
        1 => Just(Call::Delete),
    ];
    vec(call, 1..24)
}

fn profiles() -> impl Strategy<Value = Profile> {
    let proofs = vec![
        CloseProof::StoreRefuses,
        CloseProof::FormatMarker,
        CloseProof::Nothing,
    ];
    (select(proofs), any::<[bool; 2]>()).prop_map(|(proof, [delete, finds_marks])| {
        let profile = Profile::new(proof).with_delete(delete);
        profile.with_finding_marks(finds_marks)
    })
}

/// What the trait says that a stream holds, and is.
#[derive(Debug, Default)]
struct Model {
    entries: Vec<Entry>,
}

impl Model {
    fn expected(&self, off: i8) -> u64 {
        (self.entries.len() as u64).saturating_add_signed(off.into())
    }

    fn is_closed(&self) -> bool {
        let last = self.entries.last();
        last.is_some_and(|last| last.event.event_type.as_str() == CLOSE)
    }

    /// Adds what is appended, or says why not.
    fn append(
        &mut self,
        profile: &Profile,
        expected: Option<u64>,
        added: Vec<Entry>,
    ) -> Result<(), ErrorKind> {
        let fits = expected.is_none_or(|expected| expected == self.entries.len() as u64);
        if !fits || profile.proof == CloseProof::StoreRefuses && self.is_closed() {
            return Err(ErrorKind::Conflict { actual: None });
        }
        self.entries.extend(added);
        Ok(())
    }

    /// Guarantees 1, 2 and 5: makes a call on both, which must answer the same.
    fn call(
        &mut self,
        native: &MemoryNativeStore,
        number: usize,
        call: &Call,
    ) -> [Result<(), ErrorKind>; 2] {
        let (profile, stream) = (native.profile(), stream());
        let kind = |answer: Result<()>| answer.map_err(|error| error.kind().clone());
        match call {
            Call::Append { off, marked } => {
                let entries = marked.iter().enumerate().map(|(index, marked)| Entry {
                    event: event(10 * number + index, "Placed"),
                    mark: marked.then(|| format!("{{\"n\":{number}}}")),
                });
                let (expected, entries) = (self.expected(*off), entries.collect::<Vec<_>>());
                let answer = at_once(native.append(&stream, expected, entries.clone()));
                [kind(answer), self.append(&profile, Some(expected), entries)]
            }
            Call::Close { off } => {
                let (expected, entry) = (self.expected(*off), Entry::from(event(number, CLOSE)));
                let answer = at_once(native.close(&stream, expected, entry.clone()));
                [
                    kind(answer),
                    self.append(&profile, Some(expected), vec![entry]),
                ]
            }
            Call::AppendAsOldWriter { off } => {
                let expected = off.map(|off| self.expected(off));
                let event = event(number, "Placed");
                let answer = native.append_as_old_writer(&stream, expected, event.clone());
                let wanted = match profile.proof {
                    CloseProof::FormatMarker => Err(ErrorKind::PermissionDenied),
                    _ => self.append(&profile, expected, vec![event.into()]),
                };
                [kind(at_once(answer)), wanted]
            }
            Call::Delete => {
                let answer = at_once(native.delete(&stream));
                if profile.delete {
                    self.entries.clear();
                }
                [
                    kind(answer),
                    profile.delete.then_some(()).ok_or(ErrorKind::Unsupported),
                ]
            }
        }
    }

    fn recorded(&self, positions: std::ops::Range<usize>) -> Vec<Recorded> {
        let entries = self.entries.iter().cloned().enumerate();
        let all = entries.map(|(n, entry)| Recorded {
            position: n as u64,
            entry,
        });
        all.skip(positions.start).take(positions.len()).collect()
    }

    /// Guarantees 3 and 4: another handle reads the stored entries, wherever it begins.
    fn check(&self, native: &MemoryNativeStore) -> Result<(), TestCaseError> {
        let (native, stream, end) = (native.clone(), stream(), self.entries.len());
        for from in 0..end + 2 {
            for (entries, bytes, fitting) in [(2, u64::MAX, 2), (99, u64::MAX, 99), (99, 0, 1)] {
                let limit = SliceLimit { entries, bytes };
                let slice = at_once(native.read(&stream, from as u64, limit))?;
                let wanted = Slice {
                    entries: self.recorded(from..from + fitting),
                    at_end: from + fitting >= end,
                };
                prop_assert_eq!(slice, wanted);
            }
            let marked = at_once(native.last_marked(&stream, from as u64));
            let all = self.recorded(0..from);
            if native.profile().finds_marks {
                prop_assert_eq!(
                    marked?,
                    all.into_iter()
                        .rfind(|recorded| recorded.entry.mark.is_some())
                )
            } else {
                let refused = marked.expect_err("it is not offered");
                prop_assert_eq!(refused.kind(), &ErrorKind::Unsupported);
            }
        }
        let last = at_once(native.last(&stream))?;
        prop_assert_eq!(last, self.recorded(0..end).pop());
        prop_assert_eq!(&native.snapshot(&stream), &self.entries);
        prop_assert_eq!(native.stream_ids().is_empty(), end == 0);
        Ok(())
    }
}

proptest! {
    #[test]
    fn it_is_its_model(profile in profiles(), calls in calls()) {
        let (native, mut model) = (MemoryNativeStore::new(profile), Model::default());
        for (number, call) in calls.iter().enumerate() {
            let [answer, wanted] = model.call(&native, number, call);
            prop_assert_eq!(answer, wanted);
            model.check(&native)?;
        }
    }
}

#[test]
fn what_is_over_its_limits_is_refused_whole() -> Result<()> {
    let size = event(0, "Placed").approximate_size();
    for (limits, fitting) in [
        (StoreLimits::default().with_max_cell(2, u64::MAX), 2),
        (StoreLimits::default().with_max_cell(99, 3 * size), 3),
        (StoreLimits::default().with_max_event_bytes(size - 1), 0),
    ] {
        let profile = Profile::new(CloseProof::StoreRefuses).with_limits(limits);
        let native = MemoryNativeStore::new(profile);
        let entries = |count| (0..count).map(|n| event(n, "Placed").into()).collect();
        let refused = at_once(native.append(&stream(), 0, entries(fitting + 1)));
        assert_eq!(
            refused.expect_err("it is too large").kind(),
            &ErrorKind::TooLarge
        );
        at_once(native.append(&stream(), 0, entries(fitting)))?;
        assert_eq!(native.snapshot(&stream()).len(), fitting);
    }
    Ok(())
}
