//! What people say about answers.

use async_graphql::{Context, InputObject, Object, Result};
use commands::RateTask;
use domain::TaskId;
use uuid::Uuid;

use super::{TaskPayload, commands, request};
use crate::failure;

/// Ratings.
#[derive(Default)]
pub(super) struct QualityCommands;

/// A rating of a completed task's answer.
#[derive(Debug, InputObject)]
pub(crate) struct RateTaskInput {
    /// The command's own id: a repetition gets the first answer. Without one, every call is a new command.
    client_mutation_id: Option<Uuid>,
    /// The task's id.
    task_id: Uuid,
    /// The mark, a whole number from 1 to 10.
    rating: i32,
    /// In your words.
    #[graphql(default)]
    comment: String,
}

#[Object]
impl QualityCommands {
    /// Rates the answer of a completed task. Your last rating counts; the earlier ones stay in the history.
    async fn rate_task(&self, context: &Context<'_>, input: RateTaskInput) -> Result<TaskPayload> {
        let request = request(context, input.client_mutation_id)?;
        let RateTaskInput { task_id, rating, comment, .. } = input;
        let rate = RateTask { task: TaskId::from_uuid(task_id), mark: rating.into(), comment };
        let rated = commands(context)?.rate_task(request.clone(), rate).await;
        TaskPayload::of(context, &request, task_id, rated.map_err(|error| failure::command(context, error))?)
    }
}
