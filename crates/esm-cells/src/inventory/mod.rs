//! What a store holds, by the keys of its objects.

mod provider;
mod stored;

pub(crate) use provider::ObjectInventory;
