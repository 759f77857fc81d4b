use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use super::connect::Connect;
use crate::ReadError;

/// How the journal uses KurrentDB and its memory.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the cluster is and how to get in.
    pub(super) connect: Connect,
    /// What the names of all streams of this journal begin with: lower-case letters and digits.
    pub prefix: String,
    /// How many appends may wait before callers wait to hand theirs in.
    pub queue: usize,
    /// How many appends are on their way to the server at the same time.
    pub in_flight: usize,
    /// How many bytes appends that wait or are on their way may have together, in KiB.
    pub queue_kib: u32,
    /// How many of the newest events are kept for readers in this process.
    pub tail_events: usize,
    /// How many bytes these may have, roughly.
    pub tail_bytes: usize,
    /// How many streams' ends and commands' answers are remembered.
    pub heads: NonZeroUsize,
    /// How long an append waits for a cluster that cannot be reached.
    pub patience: Duration,
    /// How long one request may take before its outcome counts as unknown.
    pub request: Duration,
    /// How often the subscription is compared with the server, and half-written appends of others are looked for.
    pub watch: Duration,
}

impl Options {
    /// The defaults, for a cluster named by its connection string: `kurrentdb://`, `kurrentdb+discover://` and their
    /// older forms with `esdb`, with the parameters of the client.
    ///
    /// # Errors
    /// When the connection string is none, or has a parameter that does not exist.
    pub fn from_url(url: &str) -> Result<Self, OpenError> {
        const HEADS: NonZeroUsize = NonZeroUsize::new(65_536).expect("it is not zero");
        if !Self::is_url(url) {
            return Err(OpenError::Url("it begins with kurrentdb:// or kurrentdb+discover://".to_owned()));
        }
        let connect = Connect::parse(url).map_err(OpenError::Url)?;
        Ok(Self {
            connect,
            prefix: "hishamos".to_owned(),
            queue: 4096,
            in_flight: 512,
            queue_kib: 128 * 1024,
            tail_events: 65_536,
            tail_bytes: 48 * 1024 * 1024,
            heads: HEADS,
            patience: Duration::from_secs(30),
            request: Duration::from_secs(10),
            watch: Duration::from_secs(5),
        })
    }

    /// Whether a URL names a KurrentDB.
    #[must_use]
    pub fn is_url(url: &str) -> bool {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme);
        matches!(
            scheme,
            Some(
                "kurrentdb"
                    | "kurrent"
                    | "esdb"
                    | "kdb"
                    | "kurrentdb+discover"
                    | "kurrent+discover"
                    | "esdb+discover"
                    | "kdb+discover"
            )
        )
    }
}

/// Why the journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The connection string does not say where a KurrentDB is.
    #[error("the KurrentDB connection string cannot be used: {0}")]
    Url(String),
    /// The prefix is not made of lower-case letters and digits.
    #[error("the prefix `{0}` cannot be used: it has 1 to 40 lower-case letters and digits")]
    Prefix(String),
    /// A file of certificates that the connection string names cannot be used.
    #[error("the certificates in {} cannot be used: {what}", file.display())]
    Certificates {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// No node of the cluster can be used.
    #[error("the KurrentDB cluster cannot be used: {why}")]
    Unusable {
        /// What is wrong with each node.
        why: String,
        /// What the client said.
        #[source]
        source: ReadError,
    },
    /// The cluster could not be reached, or what it holds cannot be read.
    #[error("the journal in KurrentDB could not be opened")]
    Store(#[from] ReadError),
}

/// Whether all names of a journal's streams may begin with this.
#[must_use]
pub fn is_prefix(prefix: &str) -> bool {
    super::names::Names::new(prefix).is_some()
}
