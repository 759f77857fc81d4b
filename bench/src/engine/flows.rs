//! The workflows that are measured, and the agent and template that they use.

use std::collections::BTreeMap;
use std::time::Duration;

use commands::{Commands, Request};
use domain::agent::Profile;
use domain::template::TemplateBody;
use domain::workflow::{ForEach, TaskWork, Wait, Work};
use domain::{Actor, Bilingual, Definition, RetryPolicy, Step, StepName};
use serde_json::json;

/// Ten steps, one after the other.
pub(crate) const SEQ10: &str = "seq10";
/// One step.
pub(crate) const ONE: &str = "one";
/// Forty steps, one after the other.
pub(super) const FLOW40: &str = "flow40";
/// A hundred steps at the same time.
pub(super) const FAN100: &str = "fan100";
/// Lists of a thousand elements, one after the other.
pub(crate) const LONG: &str = "long";
/// How many of them.
const LISTS: usize = 50;
/// One step that waits for a day.
pub(crate) const DAY: &str = "day";
/// One step that waits until a moment.
pub(super) const MOMENT: &str = "moment";

fn request() -> Request {
    Request::by(Actor::system("bench"))
}

pub(super) async fn register(commands: &Commands) -> anyhow::Result<()> {
    let profile =
        Profile { timeout: Duration::from_secs(60), ..Profile::new("worker".parse()?, "Worker", "You work.") };
    commands.register_agent(request(), profile).await?;
    let parameters = json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
    let body = TemplateBody::new("pass-on".parse()?, "Pass on", parameters, "{{ text[:40] }}");
    commands.register_template(request(), body).await?;
    let wait = |wait: Wait| -> anyhow::Result<Vec<Step>> { Ok(vec![step("wait".parse()?, vec![], Work::Wait(wait))]) };
    let flows = [
        (SEQ10, chain(10)?),
        (ONE, chain(1)?),
        (FLOW40, chain(40)?),
        (FAN100, fan(100)?),
        (LONG, lists(LISTS)?),
        (DAY, wait(Wait::For(Duration::from_secs(86_400)))?),
        (MOMENT, wait(Wait::Until("input.until".parse()?))?),
    ];
    for (key, steps) in flows {
        let definition = definition(key, steps)?;
        let key = definition.key.clone();
        commands.draft_workflow(request(), definition).await?;
        commands.activate_workflow(request(), &key, None).await?;
    }
    Ok(())
}

fn chain(steps: usize) -> anyhow::Result<Vec<Step>> {
    let mut chain: Vec<Step> = Vec::new();
    for number in 0..steps {
        let before = chain.last().map(|step| step.name.clone());
        let text = before.as_ref().map_or("input.text".to_owned(), |before| format!("steps.{before}.text"));
        let work = Work::Task(task(&text)?);
        chain.push(step(format!("s{number}").parse()?, before.into_iter().collect(), work));
    }
    Ok(chain)
}

fn fan(steps: usize) -> anyhow::Result<Vec<Step>> {
    (0..steps).map(|number| Ok(step(format!("s{number}").parse()?, vec![], Work::Task(task("input.text")?)))).collect()
}

fn lists(count: usize) -> anyhow::Result<Vec<Step>> {
    let mut lists: Vec<Step> = Vec::new();
    for number in 0..count {
        let before = lists.last().map(|step| step.name.clone());
        let each = ForEach { over: "input.list".parse()?, max_parallel: 100, each: task("item")? };
        let list = step(format!("s{number}").parse()?, before.into_iter().collect(), Work::ForEach(each));
        let output = BTreeMap::from([("done".parse()?, "length(result.items)".parse()?)]);
        lists.push(Step { output, ..list });
    }
    Ok(lists)
}

fn task(text: &str) -> anyhow::Result<TaskWork> {
    Ok(TaskWork {
        agent: "worker".parse()?,
        template: "pass-on".parse()?,
        input: BTreeMap::from([("text".parse()?, text.parse()?)]),
        retry: RetryPolicy { first_backoff: Duration::ZERO, ..RetryPolicy::default() },
        attempt_timeout: Duration::from_secs(60),
        start_timeout: None,
    })
}

fn step(name: StepName, needs: Vec<StepName>, work: Work) -> Step {
    Step {
        name,
        title: Bilingual::default(),
        needs,
        when: None,
        work,
        output: BTreeMap::new(),
        timeout: None,
        compensation: None,
    }
}

fn definition(key: &str, steps: Vec<Step>) -> anyhow::Result<Definition> {
    Ok(Definition {
        key: key.parse()?,
        name: key.into(),
        description: Bilingual::default(),
        department: "bench".to_owned(),
        tags: vec![],
        input_schema: json!({"type": "object", "properties": {
            "text": {"type": "string"}, "until": {"type": "string"}, "list": {"type": "array"},
        }}),
        steps,
        output: BTreeMap::new(),
        timeout: None,
    })
}
