use serde_json::json;

use super::*;
use crate::event::Revision;
use crate::id::{MigrationId, StoreId, StreamId};
use crate::store::Close;

fn stream(number: usize) -> StreamRef {
    let store = StoreId::from_uuid(uuid::Uuid::nil());
    StreamRef::new(store, StreamId::new(format!("s{number}")).unwrap())
}

fn close(number: usize) -> Close {
    Close {
        target: Some(stream(number + 1)),
        events: Revision(number as u64),
        target_events: Revision(number as u64),
        migration: MigrationId::from_uuid(uuid::Uuid::from_u128(number as u128)),
        continues: true,
        target_last: None,
    }
}

fn follow(document: &mut ObjectDocument) {
    let number = document.generation();
    assert!(document.follow(&stream(number), &close(number)));
}

/// A record of a document, version by version.
struct Versions(Vec<ObjectDocument>);

impl Versions {
    fn new() -> Self {
        let object = "order/1".parse().unwrap();
        let first = ObjectDocument::new(object, stream(0), jiff::Timestamp::UNIX_EPOCH);
        Self(vec![first])
    }

    fn newest(&self) -> &ObjectDocument {
        self.0.last().unwrap()
    }

    /// As an update does.
    fn update(&mut self, change: impl FnOnce(&mut ObjectDocument)) {
        let before = self.newest();
        let mut next = before.clone();
        change(&mut next);
        leave_out(&mut next, self.0.len() as u64 - 1, before);
        self.0.push(next);
    }

    /// As an older version of esm does, which keeps the field that it does not know.
    fn update_older(&mut self, change: impl FnOnce(&mut ObjectDocument)) {
        let mut next = self.newest().clone();
        change(&mut next);
        self.0.push(next);
    }

    fn whole(&self) -> ObjectDocument {
        let mut document = self.newest().clone();
        while let Some(earlier) = document.left_out() {
            let page = &self.0[usize::try_from(earlier.version).unwrap()];
            document = add(document, page).expect("the version has them");
        }
        document
    }

    /// Checks that the newest version says the same as one that lists everything.
    fn is_whole(&self, generation: usize) {
        let whole = self.whole();
        let streams: Vec<_> = whole.terminated.iter().map(|t| t.stream.clone()).collect();
        assert_eq!(streams, (0..generation).map(stream).collect::<Vec<_>>());
        assert_eq!(whole.active, stream(generation));
        let document = self.newest();
        assert_eq!(document.generation(), generation);
        assert_eq!(document.first_stream(), &stream(0));
        for number in 0..=generation {
            let depth = document.generation_of(&stream(number));
            assert!(
                depth.is_none_or(|depth| depth == number),
                "{number}: {depth:?}"
            );
            assert_eq!(whole.generation_of(&stream(number)), Some(number));
        }
    }
}

#[test]
fn no_version_lists_more_than_sixteen_and_the_whole_list_is_kept() {
    let mut versions = Versions::new();
    for generation in 1..=100 {
        versions.update(follow);
        // details of the closed stream are added afterwards
        versions.update(|document| {
            let entry = document.terminated_mut(&stream(generation - 1)).unwrap();
            entry.metadata.insert("ticket".to_owned(), "42".to_owned());
        });
        versions.is_whole(generation);
        assert!(versions.newest().terminated.len() <= LISTED);
        assert!(
            versions
                .newest()
                .generation_of(&stream(generation - 1))
                .is_some()
        );
    }
    let whole = versions.whole();
    assert!(
        whole
            .terminated
            .iter()
            .all(|entry| entry.metadata.len() == 1)
    );
    assert!(versions.newest().generation_of(&stream(50)).is_none());
}

#[test]
fn a_document_of_sixteen_streams_names_no_version() {
    let mut versions = Versions::new();
    (0..LISTED).for_each(|_| versions.update(follow));
    let written = serde_json::to_value(versions.newest()).unwrap();
    assert_eq!(written.get("earlier_streams"), None);
    versions.update(follow);
    let written = serde_json::to_value(versions.newest()).unwrap();
    assert_eq!(
        written["earlier_streams"],
        json!({"version": 16, "count": 8})
    );
    assert_eq!(written["terminated"].as_array().unwrap().len(), 9);
}

/// Only what a version has can be left to it: neither what this update adds nor what it changes.
#[test]
fn what_the_version_before_does_not_have_as_it_is_stays() {
    let mut versions = Versions::new();
    versions.update(|document| (0..30).for_each(|_| follow(document)));
    assert_eq!(versions.newest().terminated.len(), 30);
    versions.update(|document| {
        document.terminated_mut(&stream(4)).unwrap().events = Revision(99);
        follow(document);
    });
    let left: Vec<_> = versions
        .newest()
        .terminated
        .iter()
        .map(|t| &t.stream)
        .collect();
    assert_eq!(left[..2], [&stream(0), &stream(4)]);
    versions.is_whole(31);
    versions.update(follow);
    assert_eq!(versions.newest().terminated.len(), 1 + NEWEST);
    versions.is_whole(32);
    assert_eq!(versions.whole().terminated[4].events, Revision(99));
}

#[test]
fn a_changed_entry_replaces_the_one_of_the_version_until_another_version_has_it() {
    let mut versions = Versions::new();
    (0..40).for_each(|_| versions.update(follow));
    let changed = |versions: &Versions| {
        let earlier = versions.newest().left_out().unwrap();
        earlier.changed.len()
    };
    let change = |versions: &mut Versions, number: usize, to: u64| {
        let entry = versions.whole().terminated[number].clone();
        versions.update(|document| {
            if let Some(earlier) = may_leave_out(document, &stream(number)) {
                earlier.changed.push(entry);
            }
            document.terminated_mut(&stream(number)).unwrap().events = Revision(to);
        });
    };
    for round in 1..=3 {
        for number in 1..=20 {
            change(&mut versions, number, 1000 * round + number as u64);
            assert!(changed(&versions) <= CHANGED + 1);
        }
        versions.is_whole(40);
        for number in 1..=20 {
            let events = versions.whole().terminated[number].events;
            assert_eq!(events, Revision(1000 * round + number as u64));
        }
    }
    (0..20).for_each(|_| versions.update(follow));
    versions.is_whole(60);
    assert_eq!(versions.whole().terminated[7].events, Revision(3007));
    assert_eq!(changed(&versions), 0);
}

#[test]
fn an_older_version_of_esm_migrates_in_between() {
    let mut versions = Versions::new();
    (0..20).for_each(|_| versions.update(follow));
    let close = |document: &mut ObjectDocument, number: usize| {
        let target = stream(number + 1);
        let close = Close {
            target: Some(target),
            events: Revision(1),
            target_events: Revision(1),
            migration: MigrationId::from_uuid(uuid::Uuid::from_u128(number as u128)),
            continues: true,
            target_last: None,
        };
        assert!(document.follow(&stream(number), &close));
    };
    for number in 20..45 {
        versions.update_older(|document| close(document, number));
    }
    versions.is_whole(45);
    assert!(versions.newest().terminated.len() > LISTED);
    versions.update(follow);
    assert_eq!(versions.newest().terminated.len(), 1 + NEWEST);
    versions.is_whole(46);
}

/// An older version of esm that restores a backup as a new object copies the fields that it does not
/// know.
#[test]
fn what_another_objects_document_leaves_out_is_ignored() {
    let mut versions = Versions::new();
    let foreign = EarlierStreams {
        version: 3,
        count: 12,
        ..EarlierStreams::default()
    };
    versions.update(|document| document.earlier_streams = Some(foreign));
    for generation in 1..=40 {
        versions.update(follow);
        versions.is_whole(generation);
    }
}

#[test]
fn fields_that_this_version_does_not_know_are_kept() {
    let mut versions = Versions::new();
    (0..20).for_each(|_| versions.update(follow));
    let mut written = serde_json::to_value(versions.newest()).unwrap();
    written["earlier_streams"]["since"] = json!("tomorrow");
    let read: ObjectDocument = serde_json::from_value(written.clone()).unwrap();
    versions.0.push(read);
    (0..20).for_each(|_| versions.update(follow));
    let newest = serde_json::to_value(versions.newest()).unwrap();
    assert_eq!(newest["earlier_streams"]["since"], "tomorrow");
}

#[test]
fn a_version_that_contradicts_the_list_is_refused() {
    let mut versions = Versions::new();
    (0..40).for_each(|_| versions.update(follow));
    let document = versions.newest();
    let earlier = document.left_out().unwrap().clone();
    let page = &versions.0[usize::try_from(earlier.version).unwrap()];
    assert!(add(document.clone(), page).is_some());
    let wrong: [fn(&mut ObjectDocument); 7] = [
        |page| page.object = "order/2".parse().unwrap(),
        |page| page.terminated.clear(),
        |page| page.terminated.truncate(1),
        |page| page.terminated[0].stream = stream(77),
        |page| drop(page.terminated.remove(2)),
        |page| page.earlier_streams = None,
        |page| page.earlier_streams.as_mut().unwrap().version = u64::MAX,
    ];
    for (number, change) in wrong.into_iter().enumerate() {
        let mut page = page.clone();
        change(&mut page);
        assert!(add(document.clone(), &page).is_none(), "{number}");
    }
    for count in [0, earlier.count - 1, earlier.count + 1, u32::MAX] {
        let mut document = document.clone();
        document.earlier_streams.as_mut().unwrap().count = count;
        assert!(add(document, page).is_none(), "{count}");
    }
}

#[test]
fn closes_have_the_streams_that_are_left_out() {
    let mut versions = Versions::new();
    (0..40).for_each(|_| versions.update(follow));
    let changed = versions.whole().terminated[5].clone();
    versions.update(|document| {
        let earlier = may_leave_out(document, &stream(5)).unwrap();
        earlier.changed.push(changed);
        let entry = document.terminated_mut(&stream(5)).unwrap();
        entry.metadata.insert("ticket".to_owned(), "42".to_owned());
    });
    let document = versions.newest();
    let closes: Vec<_> = (0..40).map(|n| (stream(n), close(n))).collect();
    assert_eq!(
        add_closed(document.clone(), &closes),
        Some(versions.whole())
    );

    let without = |number: usize| {
        let mut closes = closes.clone();
        closes.remove(number);
        closes
    };
    assert_eq!(add_closed(document.clone(), &[]), None);
    for number in 0..=document.left_out().unwrap().count as usize {
        assert_eq!(add_closed(document.clone(), &closes[..number]), None);
        assert_eq!(add_closed(document.clone(), &without(number)), None);
    }
    let mut miscounted = document.clone();
    miscounted.earlier_streams.as_mut().unwrap().count += 1;
    assert_eq!(add_closed(miscounted, &closes), None);
}
