//! Which terminated streams a document lists itself, and which it leaves to a version before it.
//!
//! Without I/O: [`Documents`](super::Documents) reads and writes the versions.

use crate::id::StreamRef;
use crate::object::{EarlierStreams, ObjectDocument, TerminatedStream};
use crate::store::Close;

/// Terminated streams that a document lists at most, but for those that the version before it does
/// not have.
const LISTED: usize = 16;
/// The newest of them, which stay when others are left out.
const NEWEST: usize = 8;
/// Changed entries of streams that are left out, at most, unless the version before has none of
/// them.
const CHANGED: usize = 8;

/// Leaves older streams out of the document that follows this version, as far as the version has
/// them unchanged. The first stream is always listed: an import counts from it.
pub(super) fn leave_out(document: &mut ObjectDocument, version: u64, before: &ObjectDocument) {
    let changed = document
        .left_out()
        .map_or(0, |earlier| earlier.changed.len());
    if document.terminated.len() <= LISTED && changed <= CHANGED {
        return;
    }
    let place = |document: &ObjectDocument| {
        let first = document
            .terminated
            .first()
            .map(|entry| entry.stream.clone());
        let left_out = document.left_out().map(|e| (e.version, e.count));
        (first, left_out)
    };
    if place(document) != place(before) {
        return;
    }
    let moved = number_to_move(document, before);
    let earlier = document.left_out().cloned();
    if moved == 0 && earlier.is_none() {
        return;
    }
    document.terminated.drain(1..=moved);
    let mut earlier = earlier.unwrap_or_default();
    earlier.version = version;
    earlier.count = earlier
        .count
        .saturating_add(u32::try_from(moved).unwrap_or(u32::MAX));
    let stored = before.left_out().map_or(&[][..], |e| &e.changed);
    earlier.changed.retain(|entry| !stored.contains(entry));
    document.earlier_streams = Some(earlier);
}

/// Number of entries behind the first that a version has as they are, but for the newest.
fn number_to_move(document: &ObjectDocument, before: &ObjectDocument) -> usize {
    let older = document.terminated.len().saturating_sub(NEWEST);
    let older = document.terminated.get(1..older).unwrap_or_default();
    let stored = before.terminated.get(1..).unwrap_or_default();
    let same = older.iter().zip(stored);
    same.take_while(|(entry, stored)| entry == stored).count()
}

/// What a document leaves out, if this stream may be among it. An entry that is added to what has
/// [changed](EarlierStreams::changed) is then the document's.
pub(super) fn may_leave_out<'a>(
    document: &'a mut ObjectDocument,
    stream: &StreamRef,
) -> Option<&'a mut EarlierStreams> {
    let is_listed = document.active == *stream || document.terminated(stream).is_some();
    if is_listed || document.left_out().is_none() {
        return None;
    }
    document.earlier_streams.as_mut()
}

/// Adds the streams that a document leaves out and that `page`, the version that it names, lists.
/// Returns `None` when that does not have them. What is still left out is in a version before it.
pub(super) fn add(mut document: ObjectDocument, page: &ObjectDocument) -> Option<ObjectDocument> {
    let earlier = document.left_out()?.clone();
    let [first, next, ..] = document.terminated.as_slice() else {
        return None;
    };
    let listed = &page.terminated;
    let before = page.left_out();
    // a version with as many streams has been named for its changed entries
    let same = before.is_some() && listed.get(1).is_some_and(|e| e.stream == next.stream);
    let leads = |entry: &TerminatedStream| entry.continuation == next.stream;
    let last = listed.iter().rposition(leads).or(same.then_some(0))?;
    let continues = |at: usize| listed[at - 1].continuation == listed[at].stream;
    let linked_from = if before.is_some() { 2 } else { 1 };
    let count = before.map_or(0, |e| e.count as usize) + last;
    let fits = page.object == document.object
        && before.is_none_or(|before| before.version < earlier.version)
        && (last > 0 || same)
        && listed[0].stream == first.stream
        && count == earlier.count as usize
        && (linked_from..=last).all(continues);
    if !fits {
        return None;
    }
    let mut changed = earlier.changed;
    let mut added: Vec<TerminatedStream> = listed[1..=last].to_vec();
    replace_changed(&mut added, &mut changed);
    if before.is_none() && !changed.is_empty() {
        return None;
    }
    document.terminated.splice(1..1, added);
    document.earlier_streams = before.map(|before| EarlierStreams {
        changed: newest_of(changed, &before.changed),
        ..before.clone()
    });
    Some(document)
}

/// Adds the streams that a document leaves out from the Closes of its streams, the first one's
/// first. Returns `None` when these do not lead to the next listed stream. The entries that are added
/// have only the content of the Closes, unless they have changed.
pub(super) fn add_closed(
    mut document: ObjectDocument,
    closes: &[(StreamRef, Close)],
) -> Option<ObjectDocument> {
    let mut earlier = document.left_out()?.clone();
    let [first, next, ..] = document.terminated.as_slice() else {
        return None;
    };
    let (object, created_at) = (document.object.clone(), document.created_at);
    let mut followed = ObjectDocument::new(object, first.stream.clone(), created_at);
    for (closed, close) in closes {
        if followed.active == next.stream {
            break;
        }
        followed.follow(closed, close);
    }
    let mut added = followed.terminated;
    if followed.active != next.stream || added.len() != earlier.count as usize + 1 {
        return None;
    }
    replace_changed(&mut added, &mut earlier.changed);
    document.terminated.splice(1..1, added.drain(1..));
    document.earlier_streams = None;
    Some(document)
}

/// Replaces entries by those that have changed, and takes these out of `changed`.
fn replace_changed(added: &mut [TerminatedStream], changed: &mut Vec<TerminatedStream>) {
    for entry in added {
        if let Some(at) = changed.iter().position(|c| c.stream == entry.stream) {
            *entry = changed.swap_remove(at);
        }
    }
}

/// Changed entries, and those of an earlier version that have not changed again.
fn newest_of(
    mut changed: Vec<TerminatedStream>,
    before: &[TerminatedStream],
) -> Vec<TerminatedStream> {
    for entry in before {
        if changed.iter().all(|newer| newer.stream != entry.stream) {
            changed.push(entry.clone());
        }
    }
    changed
}

#[cfg(test)]
mod tests;
