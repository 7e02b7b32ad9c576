//! The transformations that an application has registered.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::Fingerprint;
use crate::transform::{EventTransformer, Identity, Mapper};

/// Transformations by their fingerprints. The one that changes nothing is always among them.
#[derive(Debug, Clone)]
pub(super) struct Transformers(BTreeMap<Fingerprint, Mapper>);

impl Default for Transformers {
    fn default() -> Self {
        Self(BTreeMap::new()).with(Arc::new(Identity))
    }
}

impl Transformers {
    pub(super) fn with(mut self, transformer: Arc<dyn EventTransformer>) -> Self {
        let fingerprint = transformer.fingerprint();
        self.0.insert(fingerprint, Mapper::new(transformer));
        self
    }

    pub(super) fn of(&self, fingerprint: &Fingerprint) -> Option<&Mapper> {
        self.0.get(fingerprint)
    }
}
