//! Wherever reading begins, and whatever a process remembers, the cells are the same.

use std::sync::Arc;

use esm_core::event::Revision;
use esm_core::id::StreamId;
use esm_core::store::{Append, Cell, EventStore, Fence, PageLimit, ReadFrom, Tail};
use esm_foreign::{CloseProof, Entry, ForeignEventStore, NativeStore, Profile};
use esm_testkit::memory::MemoryNativeStore;
use esm_testkit::{environment, strategies};
use proptest::prelude::*;

use super::fixture::{event, open, stream};

#[derive(Debug, Clone, Copy)]
enum Write {
    /// An application appends this many events by itself.
    Natively(u8),
    /// esm appends a cell of this many events.
    Cell(u8),
    /// esm appends a cell without events.
    Eventless,
    Fence,
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let write = prop_oneof![
        (1..40_u8).prop_map(Write::Natively),
        (1..6_u8).prop_map(Write::Cell),
        Just(Write::Eventless),
        Just(Write::Fence),
    ];
    prop::collection::vec(write, 1..14)
}

/// Writes all; returns the number of events of each cell that was written.
async fn written(
    native: &MemoryNativeStore,
    store: &ForeignEventStore,
    id: &StreamId,
    writes: &[Write],
) -> Vec<u64> {
    let environment = environment(5);
    let (mut counts, mut n) = (Vec::new(), 0);
    let mut next = move || {
        n += 1;
        event(&format!("e{n}"), "Happened")
    };
    for write in writes {
        let tail = store.tail(id).await.unwrap();
        let commit = environment.commit_id();
        match *write {
            Write::Natively(count) => {
                let entries = (0..count).map(|_| Entry::from(next())).collect();
                let end = native.snapshot(id).len() as u64;
                native.append(id, end, entries).await.unwrap();
                counts.extend((0..count).map(|_| 1));
                continue;
            }
            Write::Cell(count) => {
                let events = (0..count).map(|_| next().into()).collect();
                let append = Append::events(commit, events);
                store.append(id, &tail, append).await.unwrap();
                counts.push(u64::from(count));
            }
            Write::Eventless => {
                let append = Append {
                    cursor: Some(Revision(1)),
                    ..Append::events(commit, Vec::new())
                };
                store.append(id, &tail, append).await.unwrap();
                counts.push(0);
            }
            Write::Fence => {
                let fence = Fence {
                    target: stream("t"),
                    migration: environment.migration_id(),
                };
                store.fence(id, &tail, commit, fence).await.unwrap();
                counts.push(0);
            }
        }
    }
    counts
}

/// What a page that begins at this event must begin with.
fn wanted(all: &[Cell], at: u64) -> Option<&Cell> {
    let at = Revision(at);
    let holds = all
        .iter()
        .find(|c| (c.header.first_revision..c.header.next_revision()).contains(&at));
    let end = all.last().map(|c| c.header.next_revision());
    let begins = || {
        all.iter()
            .find(|c| Some(at) == end && c.header.first_revision == at)
    };
    holds.or_else(begins)
}

async fn check(all: &[Cell], fresh: impl AsyncFn() -> Arc<ForeignEventStore>, id: &StreamId) {
    let events = all.last().map_or(0, |c| c.header.next_revision().0);
    let limit = PageLimit {
        cells: 3,
        bytes: 1 << 20,
    };
    let warm = fresh().await;
    for seq in 0..all.len() as u64 + 2 {
        for store in [&fresh().await, &warm] {
            let page = store.read(id, ReadFrom::Seq(seq), limit).await.unwrap();
            let rest = all.iter().skip(usize::try_from(seq).unwrap());
            let rest: Vec<_> = rest.take(3).cloned().collect();
            assert_eq!(page.cells, rest, "from cell {seq}");
        }
    }
    for at in (0..events + 2).rev() {
        for store in [&fresh().await, &warm] {
            let from = ReadFrom::Revision(Revision(at));
            let page = store.read(id, from, limit).await.unwrap();
            assert_eq!(page.cells.first(), wanted(all, at), "from event {at}");
        }
    }
    let last = all.last().map(|c| c.header.clone());
    for store in [&fresh().await, &warm] {
        assert_eq!(store.tail(id).await.unwrap().last, last);
    }
}

proptest! {
    #![proptest_config(strategies::one_in(20))]

    #[test]
    fn cells_are_the_same_wherever_reading_begins(writes in writes(), indexed: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let id = stream("order-1");
            let profile = Profile::new(CloseProof::StoreRefuses).with_fence(true);
            let native = MemoryNativeStore::new(profile.with_finding_marks(indexed));
            let writer = open(native.clone(), 1).await;
            let counts = written(&native, &writer, &id, &writes).await;
            let fresh = async || open(native.clone(), 2).await;
            let all = super::fixture::cells(&fresh().await, &id).await;
            let mut tail = Tail::default();
            for cell in &all {
                let header = &cell.header;
                let next = tail.next_header(header.commit, header.count, header.kind.clone());
                assert_eq!(*header, next);
                assert_eq!(header.count, cell.events.len() as u64);
                tail = Tail::after(header.clone());
            }
            assert_eq!(all.iter().map(|c| c.header.count).collect::<Vec<_>>(), counts);
            check(&all, fresh, &id).await;
        });
    }
}
