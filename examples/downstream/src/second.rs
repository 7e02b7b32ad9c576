//! The second edition: amounts are cents, a parcel is packed and then dispatched, notes are gone.

use esm_core::event::Event;
use serde::{Deserialize, Serialize};

use crate::first;

/// The payload of `OrderPlaced`, version 2.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Placed {
    /// Such as 1250.
    pub cents: u64,
}

/// An order, as the second edition knows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Order {
    /// What is to be paid.
    pub cents: u64,
    /// Whether it was.
    pub is_paid: bool,
    /// Whether it lies in a parcel.
    pub is_packed: bool,
    /// Whether it is on its way.
    pub is_dispatched: bool,
}

impl Order {
    /// The state that these events lead to.
    ///
    /// # Panics
    /// For an event that the second edition does not know, and for a dispatch before the packing.
    pub fn after(events: &[Event]) -> Self {
        let mut order = Self::default();
        for event in events {
            match (event.event_type.as_str(), event.schema_version.0) {
                ("OrderPlaced", 2) => {
                    let placed: Placed = serde_json::from_slice(&event.payload).expect("a payload");
                    order.cents = placed.cents;
                }
                ("OrderPaid", 1) => order.is_paid = true,
                ("ParcelPacked", 1) => order.is_packed = true,
                ("ParcelDispatched", 1) => {
                    assert!(order.is_packed, "dispatched before it was packed");
                    order.is_dispatched = true;
                }
                (other, version) => panic!("an unknown event: {other}, version {version}"),
            }
        }
        order
    }

    /// Whether this is the order that the first edition knew so.
    pub fn continues(&self, old: &first::Order) -> bool {
        let (units, cents) = (self.cents / 100, self.cents % 100);
        let amount = match self.cents {
            0 => String::new(),
            _ => format!("{units}.{cents:02}"),
        };
        (amount, self.is_paid) == (old.amount.clone(), old.is_paid)
            && [self.is_packed, self.is_dispatched] == [old.is_shipped; 2]
    }
}
