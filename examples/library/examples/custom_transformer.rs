//! An own transformer: customers' names become pseudonyms.

use std::collections::BTreeSet;

use esm_core::Result;
use esm_core::event::{Event, Schema, SchemaVersion};
use esm_core::id::Fingerprint;
use esm_core::transform::{EventTransformer, TransformContext, TransformError, Transformed};
use esm_library_examples::Shop;
use serde_json::Value;

/// Replaces a customer's name by a pseudonym that is the same in every order.
#[derive(Debug)]
struct Pseudonyms {
    /// Part of the transformer's identity: another salt gives other events.
    salt: u64,
    from: Schema,
}

impl Pseudonyms {
    const RULE: &str = "pseudonym";

    fn new(salt: u64) -> Result<Self> {
        let from = Schema::new("OrderPlaced", 1)?;
        Ok(Self { salt, from })
    }

    /// FNV-1a; a real one would use a keyed cryptographic hash.
    fn pseudonym(&self, name: &str) -> String {
        let hash = name.bytes().fold(self.salt, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        format!("customer-{hash:016x}")
    }
}

impl EventTransformer for Pseudonyms {
    /// Everything that the outputs depend on, beside the events: a migration that is resumed
    /// trusts that the same fingerprint gives the same events.
    fn fingerprint(&self) -> Fingerprint {
        let text = format!("pseudonyms@1:{:x}", self.salt);
        Fingerprint::new(text)
            .unwrap_or_else(|_| unreachable!("short and without control characters"))
    }

    fn handles(&self, schema: &Schema) -> bool {
        *schema == self.from
    }

    /// Programs that still append the old schema after the cutover would bring names back.
    fn retired_schemas(&self) -> BTreeSet<Schema> {
        BTreeSet::from([self.from.clone()])
    }

    fn transform(
        &self,
        event: &Event,
        _context: &TransformContext<'_>,
    ) -> Result<Transformed, TransformError> {
        let failed = |message: String| TransformError::new(Self::RULE, message);
        let mut payload: Value =
            serde_json::from_slice(&event.payload).map_err(|e| failed(e.to_string()))?;
        let name = payload["customer"]
            .as_str()
            .ok_or_else(|| failed("there is no customer".to_owned()))?;
        payload["customer"] = self.pseudonym(name).into();
        Ok(Transformed::Events(vec![Event {
            payload: payload.to_string().into(),
            schema_version: SchemaVersion(2),
            ..event.clone()
        }]))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let shop = Shop::in_memory().await?;
    let first = shop.place_order(1003, "Zoë Müller").await?;
    let second = shop.place_order(1004, "Zoë Müller").await?;

    let result = shop
        .service
        .migrate_all()
        .transform(Pseudonyms::new(0xcbf2_9ce4_8422_2325)?)
        .execute()
        .await?;
    assert!(result.is_success(), "{:?}", result.error);

    shop.print(&first).await?;
    let (first, second) = (shop.events(&first).await?, shop.events(&second).await?);
    assert_eq!(first[0].payload, second[0].payload);
    assert!(!String::from_utf8_lossy(&first[0].payload).contains("Zoë"));
    Ok(())
}
