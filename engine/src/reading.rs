//! A model is asked for what rules cannot read out of a request, as a task like any other: it is recorded, costs what it
//! costs, and budgets and limits count it.
//!
//! Invariants: of what the model says only that counts which the request says ([`selection::supported`]); whoever asks again
//! by the same command hears of the same run, so what takes long can be waited for in several turns.

use std::time::Duration;

use commands::{Commands, Error, FollowedRun, Request, StartTask, result_of};
use domain::task::{Form, TaskStatus};
use domain::template::TemplateBody;
use domain::workflow::Assignee;
use domain::{Key, RunId, StepName, Task, TaskId};
use selection::{Missing, ModelAnswer, ReadParameter, supported};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What is to be read.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// What somebody wants done, in their words.
    pub request: &'a str,
    /// What the template does, for the model.
    pub job: &'a str,
    /// The template whose parameters are looked for.
    pub body: &'a TemplateBody,
    /// The parameters that are known.
    pub given: &'a Map<String, Value>,
    /// Those that are looked for.
    pub lacking: &'a [Missing],
}

/// What became of asking a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The run in which it was asked.
    pub run: RunId,
    /// Whether that run has ended; until then nothing is read.
    pub ended: bool,
    /// Why nothing of an answer counts.
    pub why: Option<&'static str>,
    /// What the request says, as the model found it.
    pub read: Vec<ReadParameter>,
    /// How many of the model's values were left out, because the request does not say them.
    pub left_out: usize,
}

/// The form in which the template asks for the answer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    values: Vec<ModelAnswer>,
}

/// Asks a model and waits for its answer, as long as `patience` lasts.
///
/// # Errors
/// `TEMPLATE_NOT_FOUND` where `read-parameters` is not registered; whatever else refuses a task to start; and when the journal
/// cannot be read.
pub async fn read(
    commands: &Commands,
    request: Request,
    wish: &Wish<'_>,
    patience: Duration,
) -> Result<Reading, Error> {
    let wanted: Vec<Value> = wish.lacking.iter().map(described).collect();
    let key = |name: &str| name.parse::<Key>().map_err(|error| Error::Unavailable(Box::new(error)));
    let task = StartTask {
        template: key(TemplateBody::READ_PARAMETERS)?,
        agent: Assignee::from(key(Assignee::AUTO)?),
        parameters: json!({ "request": wish.request, "job": wish.job, "wanted": wanted }),
        priority: 0,
        form: Some(Form::Text),
    };
    let run = commands.start_task(request, task).await?.run;
    let end = async {
        if let Some(mut followed) = FollowedRun::open(&**commands.executor().journal(), run, None).await? {
            while followed.next().await?.is_some() {}
        }
        Ok::<_, Error>(())
    };
    let mut reading = Reading { run, ended: false, why: None, read: Vec::new(), left_out: 0 };
    match tokio::time::timeout(patience, end).await {
        Ok(ended) => ended?,
        Err(_) => return Ok(reading),
    }
    reading.ended = true;
    let step: StepName = Commands::TASK_STEP.parse().map_err(|error| Error::Unavailable(Box::new(error)))?;
    let task = commands.ended_task(TaskId::of_step(run, &step)).await?;
    match values(&task) {
        Ok(values) => {
            let asked = |answer: &ModelAnswer| wish.lacking.iter().any(|missing| missing.name == answer.name);
            let values: Vec<ModelAnswer> = values.into_iter().filter(asked).collect();
            reading.read = supported(wish.body, wish.request, wish.given, &values);
            reading.left_out = values.len().saturating_sub(reading.read.len());
        }
        Err(why) => reading.why = Some(why),
    }
    Ok(reading)
}

/// What the model says, or why that does not count.
fn values(task: &Task) -> Result<Vec<ModelAnswer>, &'static str> {
    let (TaskStatus::Completed, Some(reply), Some(mut result)) = (task.status(), task.reply(), result_of(task)) else {
        return Err("the model gave no answer");
    };
    if reply.simulated {
        return Err("the answer was simulated");
    }
    let form = result.get_mut("json").map(Value::take).unwrap_or_default();
    serde_json::from_value(form).map(|Answer { values }| values).map_err(|_| "the model kept to no form")
}

/// A parameter as the template wants it described.
fn described(missing: &Missing) -> Value {
    let mut described = json!({ "name": missing.name, "type": missing.kind, "title": missing.title.en });
    if let Some(fields) = described.as_object_mut() {
        if !missing.description.en.is_empty() {
            fields.insert("description".to_owned(), json!(missing.description.en));
        }
        if !missing.choices.is_empty() {
            fields.insert("choices".to_owned(), json!(missing.choices));
        }
    }
    described
}
