//! Pages.

use bytes::Bytes;
use esm_core::event::Revision;
use esm_core::store::{Append, PageLimit, ReadFrom, Tail};

use crate::conformance::fixtures::{
    append, commit, event, mixed_stream, present, read_all, read_paged, stream,
};
use crate::conformance::verdict::{ensure, ensure_eq};
use crate::conformance::{EventStoreHarness, Verdict};

const ONE_CELL: PageLimit = PageLimit { cells: 1, bytes: 0 };

/// Guarantee 7: for all limits of pages and all places where they begin.
pub async fn pages_join_without_gaps(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, id) = (harness.open().await, stream()?);
    mixed_stream(&*store, &id).await?;
    let all = read_all(&*store, &id).await?;
    let seqs: Vec<_> = all.iter().map(|cell| cell.header.seq).collect();
    ensure_eq!(seqs, [0, 1, 2, 3, 4, 5], "numbers of the cells");
    for cells in [1, 2, 3, 5, 6, 7, 100] {
        for bytes in [0, 1, 300, 1000, 1 << 20] {
            let limit = PageLimit { cells, bytes };
            ensure_eq!(
                read_paged(&*store, &id, limit).await?,
                all,
                "cells by {limit:?}"
            );
        }
    }
    for (begin, cell) in (0..).zip(&all) {
        let page = store
            .read(&id, ReadFrom::Seq(begin), PageLimit::default())
            .await?;
        ensure_eq!(page.cells.first(), Some(cell), "first cell from {begin}");
    }
    Ok(())
}

/// `ReadFrom::Revision`: the cell that holds the event; at the number of events the first cell
/// that begins there; nothing beyond.
pub async fn reading_begins_at_a_revision(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, id) = (harness.open().await, stream()?);
    let tail = mixed_stream(&*store, &id).await?;
    let first = async |revision| -> Result<Option<u64>, crate::conformance::Failure> {
        let from = ReadFrom::Revision(Revision(revision));
        let page = store.read(&id, from, ONE_CELL).await?;
        Ok(page.cells.first().map(|cell| cell.header.seq))
    };
    for (revision, seq) in [(0, 0), (1, 0), (2, 0), (3, 2), (4, 5), (5, 5)] {
        ensure_eq!(
            first(revision).await?,
            Some(seq),
            "cell of event {revision}"
        );
    }
    ensure_eq!(first(6).await?, None, "cell at the end");
    ensure_eq!(first(7).await?, None, "cell beyond the end");
    store
        .append(&id, &tail, crate::conformance::fixtures::cursor_only(9))
        .await?;
    ensure_eq!(first(6).await?, Some(6), "cell that begins at the end");
    Ok(())
}

/// A page is never empty where there is a cell, however large that is.
pub async fn the_first_cell_is_always_in_the_page(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, id) = (harness.open().await, stream()?);
    let mut large = event(0)?;
    large.payload = Bytes::from(vec![b'x'; 256 << 10]);
    let large = Append::events(commit(), vec![large.into()]);
    let tail = store.append(&id, &Tail::default(), large).await?;
    store.append(&id, &tail, append(1..2)?).await?;
    let page = store
        .read(
            &id,
            ReadFrom::Seq(0),
            PageLimit {
                cells: 10,
                bytes: 1,
            },
        )
        .await?;
    ensure_eq!(page.cells.len(), 1, "cells of a page with room for none");
    ensure!(!page.at_end, "the first of two cells is called the last");
    let first = present(page.cells.first(), "the large cell")?;
    ensure_eq!(
        first.events[0].event.payload.len(),
        256 << 10,
        "bytes of the large event"
    );
    Ok(())
}

/// `at_end` is true of the last cell only, and an empty page means that there was nothing to read.
pub async fn a_page_knows_the_end(harness: &dyn EventStoreHarness) -> Verdict {
    let (store, id) = (harness.open().await, stream()?);
    mixed_stream(&*store, &id).await?;
    for seq in 0..6 {
        let page = store.read(&id, ReadFrom::Seq(seq), ONE_CELL).await?;
        ensure_eq!(page.cells.len(), 1, "cells of a page at {seq}");
        ensure!(
            !page.at_end || seq == 5,
            "cell {seq} of 6 is called the last"
        );
    }
    for beyond in [6, 7, 1000] {
        let page = store
            .read(&id, ReadFrom::Seq(beyond), PageLimit::default())
            .await?;
        ensure_eq!(page.cells, [], "cells beyond the end");
    }
    Ok(())
}
