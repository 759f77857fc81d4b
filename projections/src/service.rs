use std::sync::Arc;
use std::time::Duration;

use journal::{Journal, Members, Position};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::compare::{self, Comparison};
use crate::progress::{Progress, Standing};
use crate::projector::Projector;
use crate::rebuild::{self, Rebuilding};
use crate::runner::Runner;
use crate::{Error, Queries, projectors, tables};

/// How projectors work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// For how long events are gathered after a batch before the next is written; somebody who waits for a position
    /// cuts it short. Longer means less work under load and later answers. Read models that answer only questions that
    /// name them, such as usage and search, gather ten times as long after a batch of 500 events or more.
    pub linger: Duration,
    /// How many events are applied at once, at least 1; up to three times as many to read models that answer only questions that name
    /// them.
    pub batch: usize,
    /// How many positions may pass without an event for a projector before its position is written down.
    pub unwritten: u64,
}

impl Default for Options {
    /// 25 ms, 5,000 events, 10,000 positions.
    fn default() -> Self {
        Self { linger: Duration::from_millis(25), batch: 5000, unwritten: 10_000 }
    }
}

/// Runs all projectors.
pub struct Service {
    runners: Vec<Runner>,
    handle: Handle,
}

impl Service {
    /// Makes the tables of read models that have none yet, so that queries can be answered from now on.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn open(pool: PgPool, journal: Arc<dyn Journal>, options: Options) -> Result<Self, Error> {
        create_tables(&pool).await?;
        let options = Options { batch: options.batch.max(1), ..options };
        let turns = Arc::default();
        let runners: Vec<Runner> = projectors()
            .into_iter()
            .map(|projector| Runner {
                pool: pool.clone(),
                journal: Arc::clone(&journal),
                progress: Arc::new(Progress::new(&*projector)),
                projector,
                options: options.clone(),
                members: None,
                turns: Arc::clone(&turns),
            })
            .collect();
        let progress: Arc<[Arc<Progress>]> = runners.iter().map(|runner| Arc::clone(&runner.progress)).collect();
        let queries = Queries::with_progress(pool.clone(), Arc::clone(&progress));
        Ok(Self { runners, handle: Handle { pool, journal, progress, queries } })
    }

    /// Several nodes on one database: who of them is alive decides who has to wait for a read model, and for whom. Without
    /// it a node that is frozen keeps what it has.
    #[must_use]
    pub fn among(mut self, members: &Members) -> Self {
        for runner in &mut self.runners {
            runner.members = Some(members.clone());
        }
        self
    }

    /// For talking to the running service.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until asked to stop; what was read by then is written.
    pub async fn run(self, shutdown: CancellationToken) {
        let mut running = JoinSet::new();
        for runner in self.runners {
            running.spawn(runner.run(shutdown.clone()));
        }
        while let Some(ended) = running.join_next().await {
            if let Err(error) = ended {
                tracing::error!(error = &error as &dyn std::error::Error, "a projector broke off");
            }
        }
    }
}

/// Talks to the running service. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pool: PgPool,
    journal: Arc<dyn Journal>,
    progress: Arc<[Arc<Progress>]>,
    queries: Queries,
}

impl Handle {
    /// Asks the read models.
    #[must_use]
    pub fn queries(&self) -> &Queries {
        &self.queries
    }

    /// How far each projector of this process is; `None` when another process runs it or it has stopped.
    #[must_use]
    pub fn positions(&self) -> Vec<(&'static str, Option<Position>)> {
        let position = |progress: &Arc<Progress>| match progress.standing() {
            Standing::At(position) => Some(position),
            Standing::Elsewhere | Standing::Poisoned { .. } => None,
        };
        self.progress.iter().map(|progress| (progress.name, position(progress))).collect()
    }

    /// Rebuilds a read model; see [`rebuild`](crate::rebuild()). A poisoned projector goes on from there.
    ///
    /// # Errors
    /// See [`rebuild`](crate::rebuild()).
    pub async fn rebuild(
        &self,
        name: &str,
        shutdown: &CancellationToken,
        report: impl FnMut(Rebuilding) + Send,
    ) -> Result<Rebuilding, Error> {
        let rebuilt = rebuild(&self.pool, &*self.journal, name, shutdown, report).await?;
        self.resume(name)?;
        Ok(rebuilt)
    }

    /// Lets a poisoned projector try its event again, such as after an update of the program.
    ///
    /// # Errors
    /// When there is no projector of that name.
    pub fn resume(&self, name: &str) -> Result<(), Error> {
        let progress = self.progress.iter().find(|progress| progress.name == name).ok_or_else(|| unknown(name))?;
        if let Standing::Poisoned { .. } = progress.standing() {
            progress.resume.notify_one();
        }
        Ok(())
    }
}

/// Makes the tables of read models that have none yet.
///
/// # Errors
/// When the database fails.
pub async fn create_tables(pool: &PgPool) -> Result<(), Error> {
    for projector in projectors() {
        tables::ensure(pool, &*projector).await?;
    }
    Ok(())
}

/// The names of all read models.
#[must_use]
pub fn names() -> Vec<&'static str> {
    projectors().iter().map(|projector| projector.name()).collect()
}

/// Makes a read model again from the journal, beside the live one, and puts it in the live one's place. Queries go on
/// all the while, and so does the projector, in whatever process it runs. `report` is called after every batch.
///
/// # Errors
/// [`Error::Unknown`] for a name that is none, [`Error::RebuildRunning`] when another rebuild of it is under way,
/// [`Error::Interrupted`] when `shutdown` came first, [`Error::Poisoned`] for an event that cannot be applied, or the
/// failure of database or journal. The live read model is untouched by all of these.
pub async fn rebuild(
    pool: &PgPool,
    journal: &dyn Journal,
    name: &str,
    shutdown: &CancellationToken,
    mut report: impl FnMut(Rebuilding) + Send,
) -> Result<Rebuilding, Error> {
    let projector = find(name)?;
    tables::ensure(pool, &*projector).await?;
    rebuild::run(pool, journal, &*projector, shutdown, &mut report).await
}

/// Compares a live read model, row by row, with one made from the journal there and then. The projector stands still
/// meanwhile; queries do not.
///
/// # Errors
/// [`Error::Unknown`] for a name that is none, [`Error::Poisoned`] for an event that cannot be applied, or the failure
/// of database or journal.
pub async fn compare(pool: &PgPool, journal: &dyn Journal, name: &str) -> Result<Comparison, Error> {
    compare::run(pool, journal, &*find(name)?).await
}

fn find(name: &str) -> Result<Arc<dyn Projector>, Error> {
    projectors().into_iter().find(|projector| projector.name() == name).ok_or_else(|| unknown(name))
}

fn unknown(name: &str) -> Error {
    Error::Unknown { name: name.to_owned(), known: names() }
}

/// Whether any read model of this database was ever filled from a journal.
///
/// # Errors
/// When the database fails.
pub async fn is_used(pool: &PgPool) -> Result<bool, Error> {
    Ok(tables::is_used(pool).await?)
}

/// Forgets all read models, so that the next start fills them anew. No program may be filling them.
///
/// # Errors
/// When the database fails.
pub async fn forget(pool: &PgPool) -> Result<(), Error> {
    Ok(tables::forget(pool, &projectors()).await?)
}
