//! What platforms say on the wire: encoding and decoding without I/O, so that every byte sequence can be tested.

pub mod openai_chat;
pub mod openai_failure;
pub mod retry_after;
pub mod sse;
