//! The object document: it names a stream of the chain, and never an earlier one than before.

use esm_core::id::{ObjectId, StoreId, StreamId, StreamRef};
use esm_core::object::{Documents, ObjectDocument};

use super::streams::Observed;

/// The stream that an object's document named.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    depth: usize,
    document: Option<ObjectDocument>,
}

/// # Errors
/// The violation, for people.
pub(super) async fn check(
    store: StoreId,
    documents: &Documents,
    object: &ObjectId,
    now: &Observed,
    before: Option<&Chain>,
) -> Result<Chain, String> {
    let chain = closed_streams(store, StreamId::first(object), now)?;
    let unreadable = |e| format!("the document of {object}: {e}");
    let document = documents.find(object).await.map_err(unreadable)?;
    let Some(found) = document else {
        return match before.and_then(|before| before.document.as_ref()) {
            Some(_) => Err(format!("I6: the document of {object} has vanished")),
            None => Ok(Chain {
                depth: 0,
                document: None,
            }),
        };
    };
    let document = documents.whole(found.document).await;
    let document = document.map_err(unreadable)?;
    let active = &document.active;
    let Some(depth) = chain.iter().position(|stream| stream == active) else {
        return Err(format!(
            "the document of {object} names {active}, which no stream of its chain is closed to"
        ));
    };
    let terminated: Vec<_> = document.terminated.iter().map(|t| &t.stream).collect();
    if terminated != chain[..depth].iter().collect::<Vec<_>>() {
        return Err(format!(
            "the document of {object} has the terminated streams {terminated:?}, its chain {chain:?}"
        ));
    }
    if let Some(before) = before {
        keeps(object, before, depth, &document)?;
    }
    Ok(Chain {
        depth,
        document: Some(document),
    })
}

/// Returns the streams from the first to the one that is open.
fn closed_streams(
    store: StoreId,
    first: StreamId,
    now: &Observed,
) -> Result<Vec<StreamRef>, String> {
    let mut chain = vec![StreamRef::new(store, first)];
    loop {
        let end = &chain[chain.len() - 1];
        let close = now.get(&end.stream).and_then(|stream| stream.close());
        let Some(target) = close.and_then(|close| close.target.clone()) else {
            return Ok(chain);
        };
        if chain.contains(&target) {
            return Err(format!("a chain of closed streams is a circle at {target}"));
        }
        chain.push(target);
    }
}

/// I6: a document does not go back, and keeps its entries of terminated streams.
fn keeps(
    object: &ObjectId,
    before: &Chain,
    depth: usize,
    document: &ObjectDocument,
) -> Result<(), String> {
    if depth < before.depth {
        return Err(format!(
            "I6: the document of {object} goes back from generation {} to {depth}",
            before.depth
        ));
    }
    let Some(old) = &before.document else {
        return Ok(());
    };
    let kept = old
        .extra
        .iter()
        .all(|(key, value)| document.extra.get(key) == Some(value));
    let archives = (old.terminated.iter()).all(|old| {
        let new = document.terminated(&old.stream);
        new.is_some_and(|new| old.archive.is_none() || new.archive == old.archive)
    });
    if kept && archives && old.created_at == document.created_at {
        Ok(())
    } else {
        Err(format!("R12: the document of {object} has lost a field"))
    }
}
