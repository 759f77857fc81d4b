//! What stands in the catalogue of a simulated world: agents, a template, and random workflows of every kind of step.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use domain::agent::Profile;
use domain::template::TemplateBody;
use domain::workflow::{
    Approval, Approver, Assignee, ForEach, ParentClose, SignalWait, SubRun, TaskWork, Verdict, Wait, Work,
};
use domain::{Definition, ErrorKind, Expression, Key, RetryPolicy, Step, StepName};
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::platforms::PLATFORMS;
use crate::source::{Condition, List, Text};

pub(crate) const AGENTS: [&str; 3] = ["ada", "ben", "cem"];
/// Who a step says that it is done by.
const DOERS: [&str; 4] = ["ada", "ben", "cem", Assignee::AUTO];
pub(crate) const PEOPLE: [&str; 4] = ["anna", "bert", "carl", "dora"];
pub(crate) const ROLE: &str = "legal";
pub(crate) const SIGNALS: [&str; 3] = ["go", "stop", "tell"];
const TEMPLATE: &str = "echo";

#[expect(clippy::expect_used, reason = "the simulation writes only valid expressions")]
pub(crate) fn expression(text: &str) -> Expression {
    text.parse().expect("an expression")
}

#[expect(clippy::expect_used, reason = "the simulation makes only valid names")]
pub(crate) fn name(text: &str) -> StepName {
    text.parse().expect("a name")
}

#[expect(clippy::expect_used, reason = "the simulation makes only valid keys")]
pub(crate) fn key(text: &str) -> Key {
    text.parse().expect("a key")
}

/// The prompt that the template makes of a text.
pub(crate) fn prompt(text: &str) -> String {
    format!("Say: {text}")
}

pub(crate) fn template() -> TemplateBody {
    let parameters = json!({"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]});
    TemplateBody::new(key(TEMPLATE), "Echo", parameters, "Say: {{ text }}")
}

pub(crate) fn agents() -> Vec<Profile> {
    let [north, south] = PLATFORMS.map(key);
    let platforms = [(Some(north), vec![south.clone()]), (Some(south), vec![]), (None, vec![])];
    AGENTS
        .into_iter()
        .zip(platforms)
        .map(|(agent, (platform, fallback_platforms))| Profile {
            platform,
            fallback_platforms,
            ..Profile::new(key(agent), agent, "You work.")
        })
        .collect()
}

/// What the expressions of a step mean.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    pub(crate) when: Option<Condition>,
    /// The text of its task, the content of its approval, or the word for the run that it starts.
    pub(crate) text: Option<Text>,
    pub(crate) list: Option<List>,
    pub(crate) undo: Option<Text>,
    /// Whether its output has the word that the answer holds.
    pub(crate) mapped: bool,
}

/// A workflow and what its expressions mean.
#[derive(Debug, Clone)]
pub(crate) struct Blueprint {
    pub(crate) definition: Definition,
    pub(crate) sources: BTreeMap<StepName, Sources>,
    /// What the run's output `out` is; `None` for the outputs of the steps that nobody needs.
    pub(crate) out: Option<Text>,
}

/// Random workflows; one may start only those before it.
pub(crate) fn workflows(dice: &Dice) -> Vec<Arc<Blueprint>> {
    let mut made: Vec<Arc<Blueprint>> = Vec::new();
    for number in 0..dice.between(2, 4) {
        let blueprint = Builder::new(dice, &made, &format!("flow-{number}")).build();
        made.push(Arc::new(blueprint));
    }
    made
}

/// The input of a run, as a person gives it; what is left out has defaults.
pub(crate) fn input(dice: &Dice) -> Value {
    let mut input = json!({"who": dice.pick(&PEOPLE)});
    let mut give = |name: &str, value: Value| {
        if dice.permille(700)
            && let Some(object) = input.as_object_mut()
        {
            object.insert(name.to_owned(), value);
        }
    };
    give("word", json!(format!("w{}", dice.below(1000))));
    let words: Vec<String> = (0..dice.below(7)).map(|_| format!("i{}", dice.below(1000))).collect();
    give("words", json!(words));
    give("flag", json!(dice.permille(600)));
    give("number", json!(dice.below(10)));
    let at = if dice.permille(100) {
        "tomorrow".to_owned()
    } else {
        let seconds = i64::try_from(dice.below(600)).unwrap_or(0);
        jiff::Timestamp::from_second(1_767_225_600 + seconds).map_or_else(|_| String::new(), |at| at.to_string())
    };
    give("at", json!(at));
    input
}

fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "who": {"type": "string", "default": "nobody"},
            "word": {"type": "string", "default": "plain"},
            "words": {"type": "array", "items": {"type": "string"}, "default": ["x", "y"]},
            "flag": {"type": "boolean", "default": true},
            "number": {"type": "integer", "default": 3},
            "at": {"type": "string", "default": "2026-01-01T00:01:00Z"},
        },
    })
}

struct Builder<'a> {
    dice: &'a Dice,
    others: &'a [Arc<Blueprint>],
    key: Key,
    steps: Vec<Step>,
    sources: BTreeMap<StepName, Sources>,
    /// For each step, those that have surely ended before it starts.
    before: BTreeMap<StepName, BTreeSet<StepName>>,
    undoes: bool,
}

impl<'a> Builder<'a> {
    fn new(dice: &'a Dice, others: &'a [Arc<Blueprint>], called: &str) -> Self {
        let undoes = dice.permille(500);
        let (steps, sources, before) = (vec![], BTreeMap::new(), BTreeMap::new());
        Self { dice, others, key: key(called), steps, sources, before, undoes }
    }

    fn build(mut self) -> Blueprint {
        let dice = self.dice;
        for number in 0..dice.between(1, 8) {
            self.add(name(&format!("s{number}")));
        }
        let all: BTreeSet<StepName> = self.steps.iter().map(|step| step.name.clone()).collect();
        // Others read it, so most have it.
        let out = dice.permille(900).then(|| Text::Or(Box::new(self.text(&all, false)), "nothing".to_owned()));
        let output = out.iter().map(|out| (name("out"), out.expression())).collect();
        let definition = Definition {
            key: self.key,
            name: "Flow".into(),
            description: "".into(),
            department: "engineering".to_owned(),
            tags: vec![],
            input_schema: schema(),
            steps: self.steps,
            output,
            timeout: dice.permille(150).then(|| dice.millis(5_000, 600_000)),
        };
        Blueprint { definition, sources: self.sources, out }
    }

    fn add(&mut self, step: StepName) {
        let dice = self.dice;
        let mut needs = BTreeSet::new();
        for _ in 0..dice.below(4) {
            needs.extend(dice.pick(&self.steps).map(|other| other.name.clone()));
        }
        let mut before = needs.clone();
        for need in &needs {
            before.extend(self.before.get(need).into_iter().flatten().cloned());
        }
        let mut sources = Sources::default();
        if dice.permille(250) {
            sources.when = Some(self.condition(&before));
        }
        let work = self.work(&before, &mut sources);
        let mut output = BTreeMap::new();
        if matches!(work, Work::Task(_)) && dice.permille(400) {
            sources.mapped = true;
            output.insert(name("text"), expression("result.text"));
            output.insert(name("word"), expression("result.json.word"));
        }
        if self.undoes && dice.permille(400) {
            let mut known = before.clone();
            known.insert(step.clone());
            sources.undo = Some(Text::Or(Box::new(self.field(&known)), "undo".to_owned()));
        }
        self.steps.push(Step {
            name: step.clone(),
            title: step.as_str().into(),
            needs: needs.into_iter().collect(),
            when: sources.when.as_ref().map(Condition::expression),
            work,
            output,
            timeout: dice.permille(120).then(|| dice.millis(500, 90_000)),
            compensation: sources.undo.as_ref().map(|undo| Box::new(self.task(undo))),
        });
        self.sources.insert(step.clone(), sources);
        self.before.insert(step, before);
    }

    fn work(&self, before: &BTreeSet<StepName>, sources: &mut Sources) -> Work {
        let dice = self.dice;
        match dice.below(20) {
            0..=8 => {
                let text = self.text(before, true);
                let work = self.task(&text);
                sources.text = Some(text);
                Work::Task(work)
            }
            9..=11 => {
                let list = self.list(before);
                let mut text = Text::Item;
                if dice.permille(400) {
                    text = Text::Join(Box::new(text), Box::new(self.text(before, false)));
                }
                let over = list.expression();
                let each = self.task(&text);
                (sources.text, sources.list) = (Some(text), Some(list));
                let max_parallel = u32::try_from(dice.between(1, 4)).unwrap_or(1);
                Work::ForEach(ForEach { over, max_parallel, each })
            }
            12..=13 => {
                let content = self.text(before, true);
                let work = self.approval(&content);
                sources.text = Some(content);
                Work::Approval(work)
            }
            14..=15 if dice.permille(250) => Work::Wait(Wait::Until(expression("input.at"))),
            14..=15 => Work::Wait(Wait::For(dice.millis(0, 60_000))),
            16..=17 => {
                let signal = dice.pick(&SIGNALS).copied().unwrap_or("go");
                Work::Signal(SignalWait { signal: name(signal) })
            }
            _ => match dice.pick(self.others) {
                Some(other) => {
                    let word = self.text(before, true);
                    let input = BTreeMap::from([
                        (name("word"), word.expression()),
                        (name("words"), expression("input.words")),
                        (name("flag"), expression("input.flag")),
                    ]);
                    sources.text = Some(word);
                    let on_parent_close = if dice.permille(600) { ParentClose::Cancel } else { ParentClose::Abandon };
                    Work::Run(SubRun {
                        workflow: other.definition.key.clone(),
                        version: None,
                        input,
                        wait: dice.permille(650),
                        on_parent_close,
                    })
                }
                None => {
                    let text = self.text(before, true);
                    let work = self.task(&text);
                    sources.text = Some(text);
                    Work::Task(work)
                }
            },
        }
    }

    fn task(&self, text: &Text) -> TaskWork {
        let dice = self.dice;
        let first_backoff = dice.millis(1, 4000);
        TaskWork {
            agent: key(dice.pick(&DOERS).copied().unwrap_or("ada")).into(),
            template: key(TEMPLATE),
            input: BTreeMap::from([(name("text"), text.expression())]),
            retry: RetryPolicy {
                max_attempts: u32::try_from(dice.between(1, 6)).unwrap_or(3),
                first_backoff,
                multiplier_milli: u32::try_from(dice.between(1000, 3000)).unwrap_or(2000),
                max_backoff: first_backoff.max(Duration::from_secs(30)),
                budget: dice.permille(150).then(|| dice.millis(5_000, 120_000)),
                never: if dice.permille(100) { vec![ErrorKind::RateLimited] } else { vec![] },
            },
            attempt_timeout: dice.millis(800, 30_000),
            start_timeout: dice.permille(150).then(|| dice.millis(2_000, 120_000)),
        }
    }

    fn approval(&self, content: &Text) -> Approval {
        let dice = self.dice;
        let approvers = match dice.below(3) {
            0 => vec![Approver::Anyone],
            1 => vec![Approver::Role(ROLE.to_owned())],
            _ => PEOPLE.into_iter().take(3).map(|person| Approver::Person(person.to_owned())).collect(),
        };
        let verdicts = [Verdict::Fail, Verdict::Reject, Verdict::Approve];
        Approval {
            question: "Shall we?".into(),
            approvers,
            quorum: u32::try_from(dice.between(1, 2)).unwrap_or(1),
            content: BTreeMap::from([(name("draft"), content.expression())]),
            own_run: dice.permille(500),
            on_rejection: if dice.permille(500) { Verdict::Fail } else { Verdict::Reject },
            expires_after: dice.permille(400).then(|| dice.millis(1_000, 120_000)),
            on_expiry: dice.pick(&verdicts).copied().unwrap_or(Verdict::Fail),
        }
    }

    fn condition(&self, before: &BTreeSet<StepName>) -> Condition {
        let approvals: Vec<&Step> = self
            .steps
            .iter()
            .filter(|step| matches!(step.work, Work::Approval(_)) && before.contains(&step.name))
            .collect();
        let known: Vec<&StepName> = before.iter().collect();
        match (self.dice.below(5), self.dice.pick(&approvals), self.dice.pick(&known)) {
            (0 | 1, Some(approval), _) => Condition::Approved(approval.name.clone()),
            (2, _, Some(step)) => Condition::There((*step).clone()),
            (3, ..) => Condition::NoFlag,
            (4, ..) => Condition::Large,
            _ => Condition::Flag,
        }
    }

    fn list(&self, before: &BTreeSet<StepName>) -> List {
        let lists: Vec<&Step> = self
            .steps
            .iter()
            .filter(|step| matches!(step.work, Work::ForEach(_)) && before.contains(&step.name))
            .collect();
        match self.dice.pick(&lists) {
            Some(list) if self.dice.permille(500) => List::Texts(list.name.clone()),
            _ => List::Words,
        }
    }

    /// A text; when `daring`, one that may be missing where a step was skipped.
    fn text(&self, before: &BTreeSet<StepName>, daring: bool) -> Text {
        let dice = self.dice;
        let one = || match dice.below(4) {
            0 => Text::Literal(format!("l{}", dice.below(100))),
            1 => Text::Word,
            _ => match self.field(before) {
                field if daring && dice.permille(150) => field,
                field => Text::Or(Box::new(field), "none".to_owned()),
            },
        };
        if dice.permille(300) { Text::Join(Box::new(one()), Box::new(one())) } else { one() }
    }

    /// A field of an earlier step's output that holds a text.
    fn field(&self, before: &BTreeSet<StepName>) -> Text {
        let known: Vec<&Step> = self.steps.iter().filter(|step| before.contains(&step.name)).collect();
        let Some(step) = self.dice.pick(&known) else { return Text::Word };
        let path: &'static [&'static str] = match &step.work {
            Work::Task(_) if !step.output.is_empty() && self.dice.permille(500) => &["word"],
            Work::Task(_) => &["text"],
            Work::Approval(_) => &["content", "draft"],
            Work::Wait(_) => &["until"],
            Work::Signal(_) => &["payload"],
            Work::Run(run) if run.wait => &["output", "out"],
            Work::Run(_) => &["run"],
            Work::ForEach(_) => return Text::Word,
        };
        Text::Field(step.name.clone(), path)
    }
}
