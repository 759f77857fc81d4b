//! The platforms against real HTTP servers, and their wire formats byte by byte.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

mod acp;
mod command;
mod cursor;
mod differential;
mod encode;
mod failures;
mod golden;
#[cfg(feature = "local-model")]
mod local;
mod openai;
mod peers;
mod platforms;
mod prices;
mod redaction;
mod registry;
mod routing;
mod simulator;
mod wire;

use futures_util::StreamExt;
use providers::{Chunk, Failure, Platform, Reply, Request};

/// Collects a stream and checks what every stream promises: text, then exactly one end or failure.
async fn collect(platform: &dyn Platform, request: Request) -> (String, Result<Reply, Failure>) {
    let mut stream = match platform.stream(request).await {
        Ok(stream) => stream,
        Err(failure) => return (String::new(), Err(failure)),
    };
    let mut text = String::new();
    let mut outcome = None;
    while let Some(item) = stream.next().await {
        assert!(outcome.is_none(), "something came after the end: {item:?}");
        match item {
            Ok(Chunk::Text(piece)) => {
                assert!(!piece.is_empty());
                text.push_str(&piece);
            }
            Ok(Chunk::End(reply)) => {
                assert_eq!(reply.text, text);
                outcome = Some(Ok(*reply));
            }
            Err(failure) => outcome = Some(Err(failure)),
        }
    }
    (text, outcome.expect("a stream without an end"))
}
