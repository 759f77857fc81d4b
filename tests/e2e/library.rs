//! The ready-made workflows of the company library with all their sample inputs, on the real program against a platform that
//! answers over real HTTP. People decide, signals come, and moments that are waited for are past; only the few workflows that
//! wait for days are left out.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::openai::{Behaviour, OpenAiServer, Received};

use crate::program::{Home, Server, install_crypto};

/// What has been.
const PAST: &str = "2026-01-05T08:00:00Z";
/// For all runs together, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

const CONTRACT: &str = include_str!("answers/contract.md");
const FIGURES: &str = include_str!("answers/figures.md");
const PEOPLE: &str = include_str!("answers/people.md");
const SYSTEM: &str = include_str!("answers/system.md");
const PLAN: &str = include_str!("answers/plan.md");
const ARABIC: &str = include_str!("answers/arabic.md");

/// An answer that a professional of the field could have given, by what is asked.
fn answer(request: &Received) -> Behaviour {
    let asked = request.json["messages"].to_string().to_lowercase();
    let fields: [(&[&str], &str); 4] = [
        (&["contract", "clause", "agreement", "regulation", "policy"], CONTRACT),
        (&["invoice", "budget", "revenue", "figures", "metric", "experiment"], FIGURES),
        (&["candidate", "employee", "interview", "hire"], PEOPLE),
        (&["code", "incident", "deployment", "vulnerability", "architecture"], SYSTEM),
    ];
    let fits = |words: &[&str]| words.iter().map(|word| asked.matches(word).count()).sum::<usize>();
    let best = fields.iter().max_by_key(|(words, _)| fits(words)).filter(|(words, _)| fits(words) > 2);
    let text = match best {
        _ if asked.contains("answer in arabic") => ARABIC,
        Some((_, text)) => text,
        None => PLAN,
    };
    Behaviour::reply(whole(text))
}

/// The same in every part that is asked for.
fn whole(results: &str) -> String {
    let results = format!("\n{results}").replace("\n## ", "\n### ");
    format!(
        "## Summary\nWhat there is, in short.\n\n## Results\n{results}\n\n## Suggested improvements\n- Name the sources\n\n\
         ## Critique\nThe figures are not checked against the ledger.\n\n## Alternatives\n- Wait a quarter: cheaper, later\n\n\
         ## Action items\n- Ask the owner for what is missing | owner: the requester | priority: high\n\n\
         ## Quality\nscore: 7/10\n- accuracy: 7/10\n- completeness: 6/10\n- clarity: 8/10\n- usefulness: 7/10\n"
    )
}

struct House {
    server: Server,
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    _home: Home,
    platform: OpenAiServer,
    workflows: Vec<Value>,
}

impl House {
    fn open() -> Self {
        install_crypto();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let platform = runtime.block_on(OpenAiServer::start([])).unwrap();
        platform.set_default(Behaviour::Of(answer));
        let home = Home::new();
        let mut command = home.command(&["serve", "--port", "0", "--json"]);
        command
            .env("OPENAI_BASE_URL", platform.base_url())
            .env("OPENAI_API_KEY", "sk-library")
            .env("OPENAI_MODEL", "some-model");
        let server = home.serve_by(command);
        home.run(&["catalog", "load"]).expect(0);
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().unwrap();
        let mut house = Self { server, runtime, http, _home: home, platform, workflows: Vec::new() };
        house.workflows = house.read_workflows();
        house
    }

    fn ask(&self, person: &str, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let mut answer: Value = self.runtime.block_on(async {
            let request = self.http.post(format!("{}/graphql", self.server.url)).header("x-hishamos-person", person);
            request.json(&body).send().await.unwrap().json().await.unwrap()
        });
        assert!(answer.get("errors").is_none(), "{answer:#}\n{body}");
        answer["data"].take()
    }

    /// The workflows, each as it is now.
    fn read_workflows(&self) -> Vec<Value> {
        let query = "query($after: String, $at: Position) { workflows(first: 10, after: $after, minPosition: $at) { nodes { key department active { definition {
            inputSchema steps { name needs output { expression } work { __typename ... on WaitWork { until forMs } } } } } }
            pageInfo { hasNextPage endCursor } } }";
        let head = self.ask("reader", "{ journalHead }", json!({}))["journalHead"].take();
        let (mut all, mut after) = (Vec::new(), Value::Null);
        loop {
            let mut page = self.ask("reader", query, json!({ "after": after, "at": head }))["workflows"].take();
            all.append(page["nodes"].as_array_mut().unwrap());
            if page["pageInfo"]["hasNextPage"] == false {
                return all;
            }
            after = page["pageInfo"]["endCursor"].take();
        }
    }
}

/// One sample of a workflow on its way.
struct Sample {
    run: String,
    name: String,
    /// Whether people say no.
    refuses: bool,
    signals: Vec<(String, Value)>,
    /// Who has decided on which step.
    decided: BTreeSet<(String, String)>,
    /// The run of another workflow that it waits for.
    inner: Option<Box<Sample>>,
}

impl Sample {
    fn of(run: &str, name: &str, refuses: bool) -> Self {
        let (run, name) = (run.to_owned(), name.to_owned());
        Self { run, name, refuses, signals: Vec::new(), decided: BTreeSet::new(), inner: None }
    }
}

/// The sample with everything in the past that is waited for; nothing when a wait is too long for a test.
fn prepared(definition: &Value, mut input: Value) -> Option<Value> {
    for step in definition["steps"].as_array().unwrap() {
        if step["work"]["forMs"].as_u64().is_some_and(|wait| wait > 10_000) {
            return None;
        }
        let until = step["work"]["until"].as_str().unwrap_or_default();
        if let Some(name) = until.strip_prefix("input.") {
            input[name] = json!(PAST);
        }
    }
    Some(input)
}

/// What somebody outside would tell under a name.
fn told(name: &str) -> Value {
    match name {
        "version" => json!("2.4.1"),
        "name" => json!("Al Noor Trading Co."),
        "contact" => json!("Mr Saeed, managing director"),
        "invite" => json!(["A-01", "A-03"]),
        "decline" => json!(["A-02"]),
        "suppliers" => json!(["Delta Supplies", "Eastern Office Co."]),
        "candidates" => json!([{ "candidate": "A-01", "cv": PEOPLE }, { "candidate": "A-02", "cv": PEOPLE }]),
        _ => json!(FIGURES),
    }
}

/// What each signal carries: all that the workflow reads of it.
fn signals(definition: &Value) -> Vec<(String, Value)> {
    let steps = definition["steps"].as_array().unwrap().iter();
    let waiting = steps.filter(|step| step["work"]["__typename"] == "SignalWork");
    let payload = |step: &Value| {
        let mut payload = json!({ "note": PLAN });
        for output in step["output"].as_array().unwrap() {
            let expression = output["expression"].as_str().unwrap();
            for part in expression.split("result.payload.").skip(1) {
                let end = part.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(part.len());
                payload[&part[..end]] = told(&part[..end]);
            }
        }
        payload
    };
    waiting.map(|step| (step["name"].as_str().unwrap().to_owned(), payload(step))).collect()
}

const SHOWN: &str =
    "query($id: UUID!) { run(id: $id) { status output error { kind message } steps { name status skipReason
    task { status output { summary results improvements critique alternatives actions { what } rating { score } } }
    error { kind message } activity { __typename ... on Approval { approvers contentHash agreed }
    ... on SignalActivity { signal } ... on ChildActivity { run { runId workflowKey } } } } } }";

impl House {
    fn start(&self, workflow: &Value, number: usize, input: &Value) -> Option<Sample> {
        let definition = &workflow["active"]["definition"];
        let input = prepared(definition, input.clone())?;
        let query = "mutation($input: StartRunInput!) { startRun(input: $input) { runId } }";
        let started = self.ask("requester", query, json!({ "input": { "workflow": workflow["key"], "input": input } }));
        let (run, name) = (started["startRun"]["runId"].as_str().unwrap(), workflow["key"].as_str().unwrap());
        // The first sample is agreed to, the second refused.
        let sample = Sample::of(run, &format!("{name} {number}"), number == 1);
        Some(Sample { signals: signals(definition), ..sample })
    }

    /// Does what the run waits for; answers how it ended once it has.
    fn attend(&self, sample: &mut Sample) -> Option<Value> {
        let mut run = self.ask("reader", SHOWN, json!({ "id": sample.run }))["run"].take();
        if ["COMPLETED", "FAILED", "CANCELLED"].contains(&run["status"].as_str().unwrap()) {
            return Some(run.take());
        }
        for step in run["steps"].as_array().unwrap().iter().filter(|step| step["status"] == "RUNNING") {
            let activity = &step["activity"];
            match activity["__typename"].as_str() {
                Some("Approval") => self.decide(sample, step, activity),
                Some("SignalActivity") => {
                    let place = sample.signals.iter().position(|(name, _)| *name == step["name"].as_str().unwrap());
                    let Some(place) = place else { continue };
                    let (_, payload) = sample.signals.remove(place);
                    let query = "mutation($input: SignalRunInput!) { signalRun(input: $input) { changed } }";
                    let input = json!({ "runId": sample.run, "signal": activity["signal"], "payload": payload });
                    self.ask("postman", query, json!({ "input": input }));
                }
                Some("ChildActivity") => {
                    let Some(run) = activity["run"]["runId"].as_str() else { continue };
                    let child = sample.inner.get_or_insert_with(|| {
                        let workflow =
                            self.workflows.iter().find(|one| one["key"] == activity["run"]["workflowKey"]).unwrap();
                        let signals = signals(&workflow["active"]["definition"]);
                        Box::new(Sample { signals, ..Sample::of(run, &sample.name, sample.refuses) })
                    });
                    self.attend(child);
                }
                _ => {}
            }
        }
        None
    }

    /// One more person decides, with every role that may.
    fn decide(&self, sample: &mut Sample, step: &Value, approval: &Value) {
        let approvers = approval["approvers"].as_array().unwrap().iter().filter_map(Value::as_str);
        let roles: Vec<&str> = approvers.clone().filter_map(|one| one.strip_prefix("role:")).collect();
        let named = approvers.clone().find_map(|one| one.strip_prefix("person:"));
        let person = format!("decider-{}", approval["agreed"].as_u64().unwrap_or(0));
        let query = "mutation($input: DecideApprovalInput!) { decideApproval(input: $input) { changed } }";
        let person = named.unwrap_or(&person);
        // The read model may not show it yet.
        if !sample.decided.insert((step["name"].to_string(), person.to_owned())) {
            return;
        }
        let input = json!({ "runId": sample.run, "step": step["name"], "approve": !sample.refuses,
            "contentHash": approval["contentHash"], "roles": roles, "comment": "after reading it" });
        self.ask(person, query, json!({ "input": input }));
    }
}

#[test]
fn every_ready_made_workflow_runs_to_its_end() {
    let house = House::open();
    let mut samples = Vec::new();
    let mut departments = BTreeSet::new();
    for workflow in &house.workflows {
        let examples =
            workflow["active"]["definition"]["inputSchema"]["examples"].as_array().cloned().unwrap_or_default();
        for (number, input) in examples.iter().enumerate() {
            if let Some(sample) = house.start(workflow, number, input) {
                samples.push(sample);
                departments.insert(workflow["department"].as_str().unwrap().to_owned());
            }
        }
    }
    assert!(departments.len() >= 10, "{departments:?}");
    let begun = Instant::now();
    let mut wrong = Vec::new();
    while !samples.is_empty() {
        assert!(
            begun.elapsed() < PATIENCE,
            "not ended: {:?}",
            samples.iter().map(|sample| (&sample.name, &sample.run)).collect::<Vec<_>>()
        );
        let mut going = Vec::new();
        for mut sample in samples {
            match house.attend(&mut sample) {
                None => going.push(sample),
                Some(ended) => wrong.extend(judge(&sample, &ended)),
            }
        }
        samples = going;
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(wrong.is_empty(), "{} runs did not end as they should:\n{}", wrong.len(), wrong.join("\n"));
    assert!(house.platform.received().len() > 100, "the platform was asked");
}

/// What is wrong with the end of a run: it completes, unless people refused what cannot go on without them.
fn judge(sample: &Sample, ended: &Value) -> Option<String> {
    let refused = sample.refuses && ended["error"]["kind"] == "REJECTED";
    for step in ended["steps"].as_array().unwrap() {
        let output = &step["task"]["output"];
        let parts = ["summary", "results", "improvements", "critique", "alternatives", "actions", "rating"];
        if step["task"]["status"] == "COMPLETED" && parts.iter().any(|part| output[part].is_null()) {
            return Some(format!("{}: {} ends without {parts:?}: {output}", sample.name, step["name"]));
        }
    }
    if refused
        || (ended["status"] == "COMPLETED" && ended["output"].as_object().is_some_and(|output| !output.is_empty()))
    {
        return None;
    }
    let steps = ended["steps"].as_array().unwrap().iter().filter(|step| !step["error"].is_null());
    let failed: Vec<String> = steps.map(|step| format!("{}: {}", step["name"], step["error"])).collect();
    Some(format!("{}: {} {} {}", sample.name, ended["status"], ended["error"], failed.join("; ")))
}
