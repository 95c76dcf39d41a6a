//! What sessions hold closely, for the scan of what their tool runs send: the engine's own
//! fingerprints of secrets that a session has read.
//!
//! Secrets alone. What is private a person may have agreed to send, and the verdict on the call
//! has weighed that.

use super::guard::Guard;
use seawall_egress::scan::Holds;
use seawall_egress::{Identity, Sessions, Zone};
use seawall_model::label::Confidentiality;
use seawall_policy::provenance::Marks;
use std::sync::Arc;

/// See the module.
pub(super) struct OfSessions(pub(super) Arc<Guard>);

struct OfOne {
    guard: Arc<Guard>,
    session: String,
}

impl Sessions for OfSessions {
    fn of(&self, identity: &Identity) -> Option<Arc<dyn Holds>> {
        // The gateway sends every session's whole context to its model provider.
        let session = identity.session.clone().filter(|_| identity.zone == Zone::Run)?;
        Some(Arc::new(OfOne { guard: Arc::clone(&self.0), session }))
    }
}

impl Holds for OfOne {
    fn holds(&self, text: &[u8]) -> Option<&'static str> {
        // Hashed before the engine is asked: it is busy with verdicts.
        let marks = Marks::of(&String::from_utf8_lossy(text));
        let level = self.guard.engine.carries(&self.session, &marks)?;
        (level >= Confidentiality::Secret).then_some("session:secret")
    }
}
