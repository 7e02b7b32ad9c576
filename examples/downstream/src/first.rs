//! The first edition: amounts are texts, and a parcel is shipped at once.

use esm_core::event::Event;
use serde::{Deserialize, Serialize};

/// The payload of `OrderPlaced`, version 1.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Placed {
    /// Such as `12.50`.
    pub amount: String,
}

/// An order, as the first edition knows it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Order {
    /// What is to be paid.
    pub amount: String,
    /// Whether it was.
    pub is_paid: bool,
    /// Whether it is on its way.
    pub is_shipped: bool,
}

impl Order {
    /// The state that these events lead to.
    ///
    /// # Panics
    /// For a payload that the first edition cannot have written.
    pub fn after(events: &[Event]) -> Self {
        let mut order = Self::default();
        for event in events {
            match event.event_type.as_str() {
                "OrderPlaced" => {
                    let placed: Placed = serde_json::from_slice(&event.payload).expect("a payload");
                    order.amount = placed.amount;
                }
                "OrderPaid" => order.is_paid = true,
                "OrderShipped" => order.is_shipped = true,
                // for people alone
                "NoteTaken" => {}
                other => panic!("an unknown event: {other}"),
            }
        }
        order
    }
}
