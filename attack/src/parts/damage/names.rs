//! The names by which an error may refer to a file.

use super::change::{Change, What};
use super::fixture::OBJECTS;
use crate::formats::{Kind, Place};

/// The object that a stream, a document or a lock belongs to.
pub(crate) fn object_of(place: &Place) -> Option<&'static str> {
    let of = &place.of;
    let found = match place.kind {
        Kind::Cell | Kind::Head => OBJECTS.iter().find(|object| {
            let stream = object.replace('/', "-");
            // a stream is its object's name, perhaps a version, and a random part
            of.strip_prefix(&stream)
                .is_some_and(|rest| rest.starts_with(['.', '-']))
        }),
        Kind::Document | Kind::Routing => OBJECTS.iter().find(|object| *of == **object),
        Kind::Acquisition | Kind::Heartbeat => OBJECTS
            .iter()
            .find(|object| *of == format!("object {object}")),
        _ => None,
    };
    found.copied()
}

/// Names of everything that a change touches.
pub(crate) fn of(change: &Change, paths: &[String]) -> Vec<String> {
    let mut names = Vec::new();
    if change.what == What::DeleteFolder {
        names.push(change.path.clone());
    }
    for path in change.touches(paths) {
        let place = Place::of(&path);
        if place.kind == Kind::Marker {
            names.push("no esm store is here".to_owned());
        }
        names.extend(object_of(&place).map(str::to_owned));
        if !place.of.is_empty() {
            names.push(place.of);
        }
        if let Some((folder, _)) = path.rsplit_once('/') {
            names.push(folder.to_owned());
        }
        names.push(path);
    }
    names.sort();
    names.dedup();
    names
}
