use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use crate::Position;

/// How the journal uses its database and its memory.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the database is and how to get in.
    pub connect: PgConnectOptions,
    /// How many connections read at most; the writer and the listener have one each besides.
    pub readers: u32,
    /// How many appends may wait for the writer before callers wait to hand theirs in.
    pub queue: usize,
    /// How many bytes the waiting appends may have together, in KiB.
    pub queue_kib: u32,
    /// How many events go into one statement, unless a single append has more.
    pub batch_events: usize,
    /// How many bytes go into one statement, unless a single append has more.
    pub batch_bytes: usize,
    /// How many of the newest events are kept for readers in this process.
    pub tail_events: usize,
    /// How many bytes these may have, roughly.
    pub tail_bytes: usize,
    /// How many streams' ends the writer remembers.
    pub heads: NonZeroUsize,
    /// How long an append waits for a database that cannot be reached.
    pub patience: Duration,
    /// What people call this process' node; the machine's name by default.
    pub name: String,
    /// How long another node may be silent before it counts as dead although its session lives: it is frozen. Meant to
    /// be the same for all nodes on a database; beats come three times as often, and at least once a second.
    pub silence: Duration,
}

impl Options {
    /// The defaults, for a database.
    #[must_use]
    pub fn new(connect: PgConnectOptions) -> Self {
        const HEADS: NonZeroUsize = NonZeroUsize::new(65_536).expect("it is not zero");
        Self {
            connect,
            readers: 8,
            queue: 4096,
            queue_kib: 128 * 1024,
            batch_events: 4096,
            batch_bytes: 8 * 1024 * 1024,
            tail_events: 65_536,
            tail_bytes: 48 * 1024 * 1024,
            heads: HEADS,
            patience: Duration::from_secs(30),
            name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            silence: Duration::from_secs(3),
        }
    }

    /// The defaults, for a database named by its URL.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn from_url(url: &str) -> Result<Self, sqlx::Error> {
        PgConnectOptions::from_str(url).map(Self::new)
    }

    /// How every connection of the journal is set up. All its statements find their rows by an index, and in the order of
    /// it, so plans made while a table was small must never scan the table, nor gather a whole stream to sort it;
    /// compiling them would cost more than running them; and a process that hangs between two statements must not hold
    /// the head for ever.
    pub(super) fn settings(&self, part: &str) -> PgConnectOptions {
        self.connect
            .clone()
            .application_name(&format!("hishamos journal {part}"))
            .options([
                ("enable_seqscan", "off"),
                ("enable_bitmapscan", "off"),
                ("jit", "off"),
                ("plan_cache_mode", "force_generic_plan"),
                ("idle_in_transaction_session_timeout", "10s"),
            ])
            .disable_statement_logging()
    }
}

/// Why the journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The database could not be reached or failed.
    #[error("the journal's database could not be opened")]
    Database(#[from] sqlx::Error),
    /// The schema is missing, or older than this program.
    #[error("the database holds no journal, or one of an older version; run the migrations first")]
    NotMigrated,
    /// The end of the journal is not where its head says: events were cut off or put in behind our back.
    #[error(
        "the journal's head is at position {head}, but its last event is at position {last}; restore it from a backup"
    )]
    HeadMismatch {
        /// Where the journal should end.
        head: Position,
        /// Where it ends.
        last: Position,
    },
}
