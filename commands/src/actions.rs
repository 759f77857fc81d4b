//! Action items: what people make of what runs asked for.
//!
//! What was asked for is folded from the streams of the run's tasks, by the rule by which the read model does.

use domain::action::{ActionState, Asked, gather};
use domain::{Action, ActionCommand, ActionId, Event, Run, RunId, StreamId, Task, TaskEvent};
use journal::Position;

use crate::follow::{decoded, known};
use crate::{Commands, Error, Outcome, Refused, Request};

/// How many tasks are read at once.
const TASKS: usize = 200;

/// Asks for a change of an action item; `None` leaves something as it is, `Some(None)` takes it away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeAction {
    /// Which one.
    pub id: ActionId,
    /// How far it is.
    pub state: Option<ActionState>,
    /// Who does it.
    pub owner: Option<Option<String>>,
    /// The date by which it has to be done.
    pub due: Option<Option<String>>,
    /// What there is to say about it.
    pub note: Option<Option<String>>,
}

impl ChangeAction {
    /// A change that changes nothing yet.
    #[must_use]
    pub fn of(id: ActionId) -> Self {
        Self { id, state: None, owner: None, due: None, note: None }
    }
}

impl Commands {
    /// Changes what is true of an action item.
    ///
    /// # Errors
    /// `ACTION_NOT_FOUND`, `ACTION_INVALID`.
    pub async fn change_action(&self, request: Request, change: ChangeAction) -> Result<Outcome, Error> {
        let ChangeAction { id, state, owner, due, note } = change;
        let asked = self.asked_for(id).await?;
        let (by, now) = (request.actor.clone(), self.surroundings.now());
        let (mut context, remember) = self.context(&request);
        context.subject = asked.subject;
        let command = ActionCommand::Change { asked: Box::new(asked), state, owner, due, note, by, now };
        let stream = StreamId::from(id);
        let done = self.executor.execute::<Action>(stream, command, context, remember).await?;
        Ok(Outcome::of(stream, &done))
    }

    /// An action item as its run asked for it.
    async fn asked_for(&self, id: ActionId) -> Result<Asked, Error> {
        let missing = || Error::from(Refused::ActionNotFound(id));
        let task = self.executor.load_cached::<Task>(id.task.into()).await?.state;
        let run = task.order().and_then(|order| order.run).ok_or_else(missing)?;
        let journal = self.executor.journal();
        let known = known(&**journal, run).await?.ok_or_else(missing)?;
        let Some(ended) = known.ended else { return Err(Refused::ActionNotYet { id, run }.into()) };
        let mut asked: Vec<(Position, ActionId, String, domain::task::ActionItem)> = Vec::new();
        let tasks: Vec<(StreamId, String)> = known.tasks.into_iter().collect();
        for some in tasks.chunks(TASKS) {
            let streams: Vec<StreamId> = some.iter().map(|(stream, _)| *stream).collect();
            let events = journal.read_streams(&streams, ended, usize::MAX).await?.unwrap_or_default();
            for recorded in &events {
                let Event::Task(TaskEvent::Completed { output: Some(output), .. }) = decoded(recorded)? else {
                    continue;
                };
                let step = some.iter().find(|(stream, _)| *stream == recorded.stream).map(|(_, step)| step.clone());
                let task = domain::TaskId::from_uuid(recorded.stream.id);
                for (number, item) in (1..).zip(output.actions.iter().flatten()) {
                    let step = step.clone().unwrap_or_default();
                    asked.push((recorded.position, ActionId { task, number }, step, item.clone()));
                }
            }
        }
        asked.sort_by_key(|(position, id, _, _)| (*position, id.number));
        let gathered = gather(asked.iter().map(|(_, id, step, item)| (*id, step.as_str(), item.clone())));
        let found = gathered.into_iter().find(|found| found.id == id).ok_or_else(missing)?;
        Ok(Asked { id, run, item: found.item, subject: self.subject_of_run(run).await? })
    }

    async fn subject_of_run(&self, run: RunId) -> Result<Option<domain::SubjectId>, Error> {
        Ok(domain::Decide::subject(&*self.executor.load_cached::<Run>(run.into()).await?.state))
    }
}
