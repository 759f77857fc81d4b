//! What HishamOS tells others, and what others tell it: webhooks in both directions.
//!
//! Invariants: nothing is sent to an address that was not checked right before; no secret is logged, kept or sent; what
//! is told to others are only the documented types of event, never the journal's own; what comes in is believed only
//! when its signature fits.

pub mod incoming;
mod message;
pub mod seals;
mod signature;
pub mod webhooks;

use std::sync::Once;

/// Another part may have installed the process's crypto provider already; it serves just as well.
fn install_crypto() {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
}
