//! What a run came to, from what the read models say of it.

use domain::Bilingual;
use output::{Failure, Mark, Outcome, Part, Report};

use crate::{Error, Queries, RunRow, StepRow, TaskRow, WorkflowRow};
use uuid::Uuid;

/// The report of a run. Its title is the name of the workflow; of a single task, the title of that.
#[must_use]
pub fn report(run: RunRow, steps: Vec<StepRow>, workflow: Option<WorkflowRow>) -> Report {
    let title = match workflow {
        Some(workflow) => Bilingual { en: workflow.name, ar: workflow.name_ar },
        None => match &steps[..] {
            [only] if !only.definition.title.is_blank() => only.definition.title.clone(),
            _ => Bilingual::from(run.workflow_key.clone()),
        },
    };
    let moment = |micros: i64| jiff::Timestamp::from_microsecond(micros).ok();
    let results = match run.output {
        Some(serde_json::Value::Object(results)) => results,
        _ => serde_json::Map::new(),
    };
    Report {
        run: run.id.to_string(),
        workflow: run.workflow_key,
        version: u32::try_from(run.version).unwrap_or(0),
        title,
        status: run.status,
        simulated: run.simulated,
        started_at: moment(run.started_at),
        ended_at: run.ended_at.and_then(moment),
        error: failure(run.error_kind, run.error_message, run.failed_step),
        results,
        steps: steps.into_iter().map(part).collect(),
        outcomes: Vec::new(),
        compiled: output::Compiled::default(),
    }
}

fn part(row: StepRow) -> Part {
    Part {
        step: row.name,
        title: row.definition.title.clone(),
        status: row.status,
        agent: row.agent_key,
        template: row.template_key,
        simulated: row.simulated,
        error: failure(row.error_kind, row.error_message, None),
        skip_reason: row.skip_reason,
        output: row.output,
    }
}

fn failure(kind: Option<String>, message: Option<String>, step: Option<String>) -> Option<Failure> {
    kind.map(|kind| Failure { kind, message: message.unwrap_or_default(), step })
}

/// What a task of a run has ended in; nothing when there is nothing but its answer.
#[must_use]
pub fn outcome(row: &TaskRow, task: &domain::Task) -> Option<Outcome> {
    let (output, quality, standing) = (task.output(), task.quality(), task.standing());
    (output.is_some() || standing.is_some()).then(|| Outcome {
        step: row.step.clone().unwrap_or_default(),
        item: row.item.and_then(|item| u32::try_from(item).ok()),
        output: output.map(|output| (**output).clone()),
        quality: quality.map(|quality| (**quality).clone()),
        marks: standing.as_ref().map(Mark::all).unwrap_or_default(),
    })
}

impl Queries {
    /// What a run came to; `None` when there is no such run.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn report(&self, id: Uuid) -> Result<Option<Report>, Error> {
        let Some(run) = self.run(id).await? else { return Ok(None) };
        let steps = self.steps_of_runs(&[id]).await?;
        let workflow = self.workflows_by_ids(&[run.workflow_id]).await?.pop();
        Ok(Some(report(run, steps, workflow)))
    }
}
