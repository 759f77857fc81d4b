//! The facts of HishamOS: the event store port, its back ends, the codec and the hash chain.
//!
//! Invariants: only this room turns events into bytes and back; positions are given in one place per back end; what
//! is recorded never changes. Nothing here knows about engines, read models or HTTP.

mod append;
pub mod bundle;
pub mod chain;
mod checkpoint;
mod executor;
mod import;
pub mod kurrent;
mod members;
mod memory;
mod metadata;
mod of_run;
mod port;
pub mod postgres;
mod prepare;
pub mod privacy;
mod recorded;
pub mod seal;
mod secret_file;
mod snapshot;
mod store;
mod subscription;
mod together;
mod transfer;
mod turn;
pub mod wire;

pub use append::{Append, AppendError, Appended, Context, Expected, StreamAppend};
pub use checkpoint::{Checkpoint, Checkpoints, MemoryCheckpoints};
pub use executor::{Done, ExecuteError, Executor, Loaded};
pub use import::{Import, ImportError};
pub use members::Members;
pub use memory::MemoryJournal;
pub use of_run::{OfRun, RunSubscription};
pub use port::{Journal, Page, ReadError, Several};
pub use prepare::{MAX_APPEND_BYTES, MAX_APPEND_EVENTS, MAX_PAYLOAD, event_id};
pub use recorded::{Filter, Hash, Metadata, Position, RecordedEvent};
pub use snapshot::{MemorySnapshots, Snapshot, SnapshotReport, Snapshots, verify_snapshots};
pub use store::Store;
pub use subscription::{Batch, Follow, Subscription};
pub use transfer::{Progress, Transfer, TransferError};
pub use turn::{Ticket, Turn};
