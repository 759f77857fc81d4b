//! People whom runs are about: who they are, what is kept about them, and their erasure.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::{Category, Event, RunEvent, RunId, StreamId, Subject, SubjectCommand, SubjectId};
use journal::privacy::{KnownSubject, Subjects, SubjectsError};
use journal::{Filter, Position, RecordedEvent};
use tokio_util::sync::CancellationToken;

use crate::{Commands, Error, Outcome, Refused, Request};

/// The longest name, in characters.
const LONGEST: usize = 200;
/// How many events are read at a time.
const PAGE: usize = 1000;

/// An event with something personal in it.
pub type Told = Arc<RecordedEvent>;

/// What is kept about a subject.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// The runs about them, in the order of the journal.
    pub runs: Vec<RunId>,
    /// Those that have not ended.
    pub live: BTreeSet<RunId>,
    /// Every event with something personal in it, in the order of the journal.
    pub events: Vec<Told>,
}

impl From<SubjectsError> for Error {
    fn from(error: SubjectsError) -> Self {
        Self::Unavailable(Box::new(error))
    }
}

impl Commands {
    /// Lets runs be about the people of this list. Its keys are those of the journal that this stands on.
    #[must_use]
    pub fn with_subjects(mut self, subjects: Arc<dyn Subjects>) -> Self {
        self.subjects = Some(subjects);
        self
    }

    /// Everybody in the list.
    ///
    /// # Errors
    /// `SUBJECTS_OFF`.
    pub async fn list_subjects(&self) -> Result<Vec<KnownSubject>, Error> {
        Ok(self.known_subjects()?.list().await?)
    }

    /// What is kept about a subject. Reads the journal from its beginning.
    ///
    /// # Errors
    /// `SUBJECT_NOT_FOUND`, `SUBJECTS_OFF`.
    pub async fn about_subject(&self, name: &str) -> Result<(SubjectId, About), Error> {
        let subject = self.known_subject(name).await?;
        Ok((subject, self.about(subject, true).await?))
    }

    /// Destroys the key of a subject, so that nothing personal about them can be read in the journal any more, and records
    /// that. What was made of the journal before (read models, states in memory) has to be made anew by whoever holds it.
    ///
    /// # Errors
    /// `SUBJECT_NOT_FOUND`, `SUBJECT_HAS_LIVE_RUNS`, `SUBJECTS_OFF`.
    pub async fn erase_subject(&self, request: Request, name: &str) -> Result<Outcome, Error> {
        let subject = self.known_subject(name).await?;
        let about = self.about(subject, false).await?;
        if let Some(first) = about.live.first() {
            return Err(Refused::SubjectHasLiveRuns { runs: about.live.len(), first: *first }.into());
        }
        self.known_subjects()?.destroy(subject).await?;
        self.record_erasure(request, subject).await
    }

    /// Records erasures that a process did not come to record: the key is gone, and no event says so.
    ///
    /// # Errors
    /// `SUBJECTS_OFF`.
    pub async fn finish_erasures(&self, request: Request) -> Result<(), Error> {
        for known in self.list_subjects().await? {
            if known.name.is_none() {
                self.record_erasure(request.clone(), known.id).await?;
            }
        }
        Ok(())
    }

    /// Forgets what is in memory when a subject is erased, until shutdown.
    pub async fn follow_erasures(&self, after: Position, shutdown: CancellationToken) {
        let filter = Filter::categories([Category::Subject]);
        let mut subscription = self.executor.journal().subscribe(after, filter).quiet();
        loop {
            let batch = tokio::select! {
                () = shutdown.cancelled() => return,
                batch = subscription.next() => batch,
            };
            match batch {
                Ok(batch) if batch.events.is_empty() => {}
                Ok(_) => self.executor.forget_all(),
                Err(journal::ReadError::Closed) => return,
                Err(error) => {
                    tracing::warn!(%error, "erasures cannot be followed");
                    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                }
            }
        }
    }

    pub(crate) async fn subject_of(&self, name: &str) -> Result<SubjectId, Error> {
        let fits = (1..=LONGEST).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        if !fits || name.trim() != name {
            return Err(Refused::SubjectInvalid { max: LONGEST }.into());
        }
        Ok(self.known_subjects()?.of(name).await?)
    }

    async fn record_erasure(&self, request: Request, subject: SubjectId) -> Result<Outcome, Error> {
        let stream = StreamId::from(subject);
        let (context, remember) = self.context(&request);
        let command = SubjectCommand::Erase { by: request.actor.clone(), now: self.surroundings.now() };
        let done = self.executor.execute::<Subject>(stream, command, context, remember).await?;
        self.executor.forget_all();
        Ok(Outcome::of(stream, &done))
    }

    fn known_subjects(&self) -> Result<&Arc<dyn Subjects>, Error> {
        self.subjects.as_ref().ok_or_else(|| Refused::SubjectsOff.into())
    }

    async fn known_subject(&self, name: &str) -> Result<SubjectId, Error> {
        let found = self.known_subjects()?.find(name).await?;
        found.ok_or_else(|| Refused::SubjectNotFound(name.to_owned()).into())
    }

    async fn about(&self, subject: SubjectId, with_events: bool) -> Result<About, Error> {
        let filter = Filter::categories([Category::Run, Category::Task, Category::Action]);
        let (mut about, mut position) = (About::default(), Position::START);
        loop {
            let page = self.executor.journal().read_all(position, &filter, PAGE).await?;
            for event in &page.events {
                let run = RunId::from_uuid(event.stream.id);
                if event.stream.category == Category::Run && about.live.contains(&run) && ends(event) {
                    about.live.remove(&run);
                }
                if event.subject() != Some(subject) {
                    continue;
                }
                if begins(event) {
                    about.runs.push(run);
                    about.live.insert(run);
                }
                if with_events {
                    about.events.push(Arc::clone(event));
                }
            }
            if page.position == position {
                return Ok(about);
            }
            position = page.position;
        }
    }
}

fn begins(event: &RecordedEvent) -> bool {
    matches!(event.event(), Ok(Event::Run(RunEvent::Started(_))))
}

fn ends(event: &RecordedEvent) -> bool {
    matches!(event.event(), Ok(Event::Run(event)) if event.is_terminal())
}
