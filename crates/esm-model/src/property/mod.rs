//! What must always hold, and what must happen sometimes.

pub(crate) mod journal;
pub(crate) mod object;
pub(crate) mod target;
mod witness;

use stateright::Property;

use crate::protocol::Protocol;

/// All properties of a scope.
pub(crate) fn all(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let mut all = Vec::new();
    all.extend(object::properties());
    all.extend(target::properties());
    all.extend(journal::properties());
    if protocol.twin.is_none() {
        all.extend(witness::properties(&protocol.scope));
    }
    all
}
