//! Loading a catalogue: what it does, what it leaves alone, and that it does all of it or nothing.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use commands::catalog::{Catalog, Kind, Layer, parse_template, parse_trigger, parse_workflow, template_to_yaml};
use commands::{Change, Commands, Edited, LoadReport, Request, catalogue_cause};
use domain::{
    Actor, Agent, AgentId, CommandId, Key, StreamId, Template, TemplateEvent, TemplateId, Workflow, WorkflowId,
};
use journal::chain::Entry;
use journal::{
    Append, AppendError, Appended, Context, Expected, Filter, Journal, MemoryJournal, Page, Position, ReadError,
    RecordedEvent, StreamAppend, Subscription,
};
use parking_lot::Mutex;
use uuid::Uuid;

const AGENT: &str = "key: clerk\nname: Clerk\ndescription: Files.\nsystem_prompt: You file.\n";
const TEMPLATE: &str = "key: letter\ntitle: Letter\ndescription: A letter.\nparameters:\n  type: object\n  required: \
                        [to]\n  properties:\n    to: { type: string }\ninstructions: Write to {{ to }}.\n";
const WORKFLOW: &str = "key: mail\nname: Mail\ndescription: Mails.\ninput_schema:\n  type: object\n  properties:\n    \
                        to: { type: string }\nsteps:\n  - name: write\n    title: Write\n    agent: clerk\n    template: \
                        letter\n    input: { to: input.to }\n";

fn own(files: &[(&str, String)]) -> Catalog {
    Catalog::from_files(files.iter().map(|(name, text)| (*name, text.as_str()))).unwrap()
}

fn office() -> Catalog {
    own(&[
        ("agents/clerk.yaml", AGENT.to_owned()),
        ("templates/letter.yaml", TEMPLATE.to_owned()),
        ("workflows/mail.yaml", WORKFLOW.to_owned()),
    ])
}

fn key(text: &str) -> Key {
    text.parse().unwrap()
}

fn person() -> Request {
    Request::by(Actor::person("mona"))
}

fn operator() -> Request {
    Request::by(Actor::person("operator"))
}

/// The entries that are not unchanged, as `change kind key`.
fn changes(report: &LoadReport) -> Vec<String> {
    let changed = report.entries.iter().filter(|entry| entry.change != Change::Unchanged);
    changed.map(|entry| format!("{} {} {}", entry.change.name(), entry.kind, entry.key)).collect()
}

async fn load(commands: &Commands, catalog: &Catalog) -> LoadReport {
    commands.load_catalog(&operator(), catalog, Edited::Keep).await.unwrap()
}

async fn template(commands: &Commands, name: &str) -> Arc<Template> {
    commands.executor().load::<Template>(TemplateId::from_key(&key(name)).into()).await.unwrap().state
}

async fn workflow(commands: &Commands, name: &str) -> Arc<Workflow> {
    commands.executor().load::<Workflow>(WorkflowId::from_key(&key(name)).into()).await.unwrap().state
}

#[tokio::test]
async fn loading_twice_changes_nothing_the_second_time() {
    let journal = Arc::new(MemoryJournal::new());
    let commands = Commands::new(Arc::clone(&journal) as _);
    let first = load(&commands, &office()).await;
    assert_eq!(changes(&first), ["added agent clerk", "added template letter", "added workflow mail"]);
    assert_eq!(first.position, journal.head().await.unwrap());
    assert_eq!(workflow(&commands, "mail").await.active(), Some(1));

    let again = load(&commands, &office()).await;
    assert_eq!(changes(&again), [""; 0]);
    assert_eq!(again.position, first.position);
    assert_eq!(journal.head().await.unwrap(), first.position);

    // Another process, which has cached nothing, sees the same.
    let other = Commands::new(Arc::clone(&journal) as _);
    assert_eq!(changes(&load(&other, &office()).await), [""; 0]);
}

#[tokio::test]
async fn what_has_changed_becomes_a_new_version() {
    let commands = Commands::new(Arc::new(MemoryJournal::new()));
    load(&commands, &office()).await;
    let changed = own(&[
        ("agents/clerk.yaml", AGENT.to_owned()),
        ("templates/letter.yaml", TEMPLATE.replace("Write to", "Please write to")),
        ("workflows/mail.yaml", WORKFLOW.replace("Mails.", "Mails well.")),
    ]);
    let plan = commands.plan_catalog(&changed, Edited::Keep).await.unwrap();
    let revised: Vec<_> = plan.iter().filter(|planned| planned.entry.change == Change::Revised).collect();
    let [letter, _mail] = revised.as_slice() else { panic!("{} revised", revised.len()) };
    let (before, after) = (letter.before.as_ref().unwrap(), letter.after.as_ref().unwrap());
    assert!(before.contains("Write to") && after.contains("Please write to"), "{before}\n{after}");
    assert_eq!(template(&commands, "letter").await.version(), 1, "planning changes nothing");

    assert_eq!(changes(&load(&commands, &changed).await), ["revised template letter", "revised workflow mail"]);
    assert_eq!(template(&commands, "letter").await.version(), 2);
    let mail = workflow(&commands, "mail").await;
    assert_eq!((mail.newest(), mail.active()), (2, Some(2)));
}

#[tokio::test]
async fn what_people_have_changed_is_kept_unless_told_otherwise() {
    let commands = Commands::new(Arc::new(MemoryJournal::new()));
    load(&commands, &office()).await;
    let edited = parse_template("t", &TEMPLATE.replace("Write to", "Scribble to")).unwrap();
    commands.register_template(person(), edited).await.unwrap();
    let report = load(&commands, &office()).await;
    assert_eq!(changes(&report), ["kept template letter"]);
    let note = report.entries.iter().find_map(|entry| entry.note.clone());
    assert_eq!(note.as_deref(), Some("last changed by person:mona"));
    assert!(template(&commands, "letter").await.body().unwrap().instructions.starts_with("Scribble"));

    let forced = commands.load_catalog(&operator(), &office(), Edited::Replace).await.unwrap();
    assert_eq!(changes(&forced), ["revised template letter"]);
    let now = template(&commands, "letter").await;
    assert_eq!((now.version(), now.body().unwrap().instructions.as_str()), (3, "Write to {{ to }}."));
    // From now on it is the catalogue's again.
    let changed = own(&[("templates/letter.yaml", TEMPLATE.replace("Write to", "Please write to"))]);
    assert_eq!(changes(&load(&commands, &changed).await), ["revised template letter"]);
}

#[tokio::test]
async fn a_switched_off_agent_stays_off_and_is_not_edited_by_that() {
    let commands = Commands::new(Arc::new(MemoryJournal::new()));
    load(&commands, &office()).await;
    commands.disable_agent(person(), &key("clerk"), "on leave".to_owned()).await.unwrap();
    let changed = own(&[("agents/clerk.yaml", AGENT.replace("You file.", "You file well."))]);
    assert_eq!(changes(&load(&commands, &changed).await), ["revised agent clerk"]);
    let stream = StreamId::from(AgentId::from_key(&key("clerk")));
    assert!(!commands.executor().load::<Agent>(stream).await.unwrap().state.enabled());
}

#[tokio::test]
async fn a_version_that_a_person_has_activated_stays_active() {
    let commands = Commands::new(Arc::new(MemoryJournal::new()));
    load(&commands, &office()).await;
    let changed = own(&[("workflows/mail.yaml", WORKFLOW.replace("Mails.", "Mails well."))]);
    load(&commands, &changed).await;
    commands.activate_workflow(person(), &key("mail"), Some(1)).await.unwrap();
    assert_eq!(changes(&load(&commands, &changed).await), ["kept workflow mail"]);
    assert_eq!(workflow(&commands, "mail").await.active(), Some(1));
}

const TRIGGER: &str = "key: daily\ndescription: Each morning.\nworkflow: mail\nschedule:\n  cron: 0 9 * * *\ninput:\n  \
                       to: trigger.tick.date\npaused: true\n";

fn with_trigger(trigger: &str) -> Catalog {
    own(&[("triggers/daily.yaml", trigger.to_owned())]).over(office())
}

#[tokio::test]
async fn triggers_come_in_last_and_paused_and_stay_as_people_leave_them() {
    let commands = Commands::new(Arc::new(MemoryJournal::new()));
    let first = load(&commands, &with_trigger(TRIGGER)).await;
    assert_eq!(changes(&first).last().unwrap(), "added trigger daily");
    let trigger = commands.trigger(&key("daily")).await.unwrap();
    let pause = trigger.pause().unwrap();
    assert_eq!((pause.by.to_string(), trigger.acting()), ("system:catalogue".to_owned(), None));
    assert_eq!(changes(&load(&commands, &with_trigger(TRIGGER)).await), [""; 0]);

    // Resumed, it stays so, whatever is loaded again.
    commands.resume_trigger(person(), &key("daily")).await.unwrap();
    assert_eq!(changes(&load(&commands, &with_trigger(TRIGGER)).await), [""; 0]);
    let later = TRIGGER.replace("0 9 * * *", "0 10 * * *");
    let plan = commands.plan_catalog(&with_trigger(&later), Edited::Keep).await.unwrap();
    let planned = plan.last().unwrap();
    assert_eq!(planned.entry.change, Change::Revised);
    let (before, after) = (planned.before.as_ref().unwrap(), planned.after.as_ref().unwrap());
    assert!(before.contains("0 9 * * *") && after.contains("0 10 * * *"), "{before}\n{after}");
    assert!(!before.contains("paused") && !after.contains("paused"), "a pause is not the catalogue's: {after}");
    assert_eq!(changes(&load(&commands, &with_trigger(&later)).await), ["revised trigger daily"]);
    assert!(commands.trigger(&key("daily")).await.unwrap().acting().is_some());

    // What a person sets is kept, and written out as theirs.
    let by_hand = parse_trigger("t", &TRIGGER.replace("0 9", "30 7")).unwrap().settings;
    commands.set_trigger(person(), by_hand).await.unwrap();
    let report = load(&commands, &with_trigger(TRIGGER)).await;
    assert_eq!(changes(&report), ["kept trigger daily"]);
    let registered = commands.registered().await.unwrap();
    let daily = registered.iter().find(|entry| entry.kind == Kind::Trigger).unwrap();
    assert_eq!((daily.edited, daily.by.to_string()), (true, "person:mona".to_owned()));
    assert!(daily.yaml.contains("30 7 * * *") && !daily.yaml.contains("paused"), "{}", daily.yaml);
    assert_eq!(parse_trigger("t", &daily.yaml).unwrap().settings.key.as_str(), "daily");
    let forced = commands.load_catalog(&operator(), &with_trigger(TRIGGER), Edited::Replace).await.unwrap();
    assert_eq!(changes(&forced), ["revised trigger daily"]);

    // What a person takes away does not come back by itself; brought back, it begins as it says.
    commands.remove_trigger(person(), &key("daily"), "enough".to_owned()).await.unwrap();
    let report = load(&commands, &with_trigger(TRIGGER)).await;
    assert_eq!(changes(&report), ["kept trigger daily"]);
    assert!(commands.trigger(&key("daily")).await.is_err());
    assert!(commands.registered().await.unwrap().iter().all(|entry| entry.kind != Kind::Trigger));
    commands.load_catalog(&operator(), &with_trigger(TRIGGER), Edited::Replace).await.unwrap();
    assert!(commands.trigger(&key("daily")).await.unwrap().pause().is_some());
}

#[tokio::test]
async fn a_trigger_that_does_not_fit_is_refused_with_all_else_or_left_out_where_people_are_the_reason() {
    let commands = Commands::new(Arc::new(MemoryJournal::new()));
    for (wrong, code) in [
        (TRIGGER.replace("workflow: mail", "workflow: male"), "WORKFLOW"),
        (TRIGGER.replace("workflow: mail", "workflow: mail\nversion: 2"), "WORKFLOW_VERSION_UNKNOWN"),
    ] {
        let refused = commands.load_catalog(&operator(), &with_trigger(&wrong), Edited::Keep).await.unwrap_err();
        assert!(refused.code().starts_with(code) || refused.to_string().contains("male"), "{refused}");
        assert!(commands.registered().await.unwrap().is_empty(), "nothing was recorded");
    }
    // A version that comes in with the same catalogue will be there.
    load(&commands, &with_trigger(&TRIGGER.replace("workflow: mail", "workflow: mail\nversion: 1"))).await;
    // A workflow that is registered alone is as good as one of the catalogue.
    let alone = own(&[("triggers/other.yaml", TRIGGER.replace("key: daily", "key: other"))]);
    assert_eq!(changes(&load(&commands, &alone).await), ["added trigger other"]);
    // A workflow that people have changed needs something that the catalogue's trigger does not give.
    let theirs = WORKFLOW.replace("type: object\n  properties:", "type: object\n  required: [from]\n  properties:");
    let theirs = parse_workflow(
        "w",
        &theirs.replace("to: { type: string }\n", "to: { type: string }\n    from: { type: string }\n"),
    );
    commands.draft_workflow(person(), theirs.unwrap()).await.unwrap();
    commands.activate_workflow(person(), &key("mail"), None).await.unwrap();
    let changed = own(&[("triggers/third.yaml", TRIGGER.replace("key: daily", "key: third"))]).over(office());
    let report = load(&commands, &changed).await;
    assert_eq!(changes(&report), ["kept workflow mail", "blocked trigger third"]);
    assert!(report.entries.iter().any(|entry| entry.note.as_deref().is_some_and(|note| note.contains("`from`"))));
}

#[tokio::test]
async fn whoever_asks_is_the_actor_and_the_catalogue_is_the_cause() {
    let journal = Arc::new(MemoryJournal::new());
    let commands = Commands::new(Arc::clone(&journal) as _);
    commands.load_catalog(&person(), &office(), Edited::Keep).await.unwrap();
    let page = journal.read_all(Position::START, &Filter::default(), 100).await.unwrap();
    assert!(page.events.len() >= 4);
    for event in &page.events {
        assert_eq!(event.metadata.actor, Actor::person("mona"));
        assert_eq!(event.metadata.causation, Some(catalogue_cause(Layer::Own)));
    }
}

#[tokio::test]
async fn the_starter_catalogue_gives_way_to_an_own_one() {
    let commands = Commands::new(Arc::new(MemoryJournal::new()));
    let starter = || Catalog::starter().unwrap();
    load(&commands, &starter()).await;
    let ours =
        template_to_yaml(&starter().templates.into_iter().find(|body| body.key.as_str() == "translate").unwrap());
    let ours = ours.unwrap().replace("Translate this text into", "Render this text in");
    let own = own(&[("templates/t.yaml", ours)]);
    assert_eq!(changes(&load(&commands, &own).await), ["revised template translate"]);
    let report = load(&commands, &starter()).await;
    assert_eq!(changes(&report), ["kept template translate"]);
    assert!(
        report
            .entries
            .iter()
            .any(|entry| entry.note.as_deref()
                == Some("last changed by person:operator with the company's own catalogue"))
    );
    // Over each other they are one catalogue, of which everything is there.
    assert_eq!(changes(&load(&commands, &own.over(starter())).await), [""; 0]);
}

#[tokio::test]
async fn a_workflow_that_does_not_fit_what_was_kept_is_left_out_and_the_rest_comes_in() {
    let commands = Commands::new(Arc::new(MemoryJournal::new()));
    load(&commands, &office()).await;
    let edited = TEMPLATE
        .replace("required: [to]", "required: [to, tone]")
        .replace("{ type: string }\n", "{ type: string }\n    tone: { type: string }\n");
    commands
        .register_template(person(), parse_template("t", &edited.replace("{{ to }}", "{{ to }} {{ tone }}")).unwrap())
        .await
        .unwrap();
    let changed = own(&[
        ("agents/clerk.yaml", AGENT.replace("You file.", "You file well.")),
        ("templates/letter.yaml", TEMPLATE.to_owned()),
        ("workflows/mail.yaml", WORKFLOW.replace("Mails.", "Mails well.")),
    ]);
    let report = load(&commands, &changed).await;
    assert_eq!(changes(&report), ["revised agent clerk", "kept template letter", "blocked workflow mail"]);
    let note = report.entries.last().unwrap().note.clone().unwrap();
    assert!(note.contains("does not give `tone`"), "{note}");
    assert_eq!(workflow(&commands, "mail").await.newest(), 1);
    // What is registered already goes on as it is.
    assert_eq!(changes(&load(&commands, &office()).await), ["revised agent clerk", "kept template letter"]);
}

#[tokio::test]
async fn a_refused_catalogue_leaves_nothing_behind() {
    let journal = Arc::new(MemoryJournal::new());
    let commands = Commands::new(Arc::clone(&journal) as _);
    let lonely =
        own(&[("agents/other.yaml", AGENT.replace("clerk", "other")), ("workflows/mail.yaml", WORKFLOW.to_owned())]);
    let refused = commands.load_catalog(&operator(), &lonely, Edited::Keep).await.unwrap_err();
    assert_eq!(refused.code(), "WORKFLOW_UNKNOWN_AGENT");
    assert_eq!(journal.head().await.unwrap(), Position::START);
    // A malformed file is refused before, with its place; there is no catalogue to load then.
    let files = [("agents/clerk.yaml", AGENT), ("templates/letter.yaml", "key: letter\ntitel: Letter\n")];
    let errors = Catalog::from_files(files).unwrap_err().to_string();
    assert!(
        errors.starts_with("templates/letter.yaml:2:1: titel: unknown field `titel`, expected one of key, "),
        "{errors}"
    );
}

#[tokio::test]
async fn what_is_registered_is_written_as_files_that_bring_it_back() {
    let commands = Commands::new(Arc::new(MemoryJournal::new()));
    load(&commands, &Catalog::starter().unwrap()).await;
    load(&commands, &office()).await;
    commands
        .register_template(person(), parse_template("t", &TEMPLATE.replace("Write", "Scribble")).unwrap())
        .await
        .unwrap();
    commands.disable_agent(person(), &key("clerk"), String::new()).await.unwrap();
    let registered = commands.registered().await.unwrap();
    let edited: Vec<_> = registered.iter().filter(|entry| entry.edited).collect();
    let [edited] = edited.as_slice() else { panic!("{} edited", edited.len()) };
    let by = edited.by.to_string();
    assert_eq!((edited.kind, edited.key.as_str(), by.as_str()), (Kind::Template, "letter", "person:mona"));
    let files =
        registered.iter().map(|entry| (format!("{}/{}.yaml", entry.kind.folder(), entry.key), entry.yaml.as_str()));
    let written = Catalog::from_files(files).unwrap();
    assert_eq!(written.check(), []);
    // Here or anywhere else.
    assert_eq!(changes(&load(&commands, &written).await), [""; 0]);
    let elsewhere = Commands::new(Arc::new(MemoryJournal::new()));
    assert_eq!(changes(&load(&elsewhere, &written).await).len(), registered.len());
    assert_eq!(
        elsewhere.registered().await.unwrap().iter().map(|entry| &entry.yaml).collect::<Vec<_>>(),
        registered.iter().map(|entry| &entry.yaml).collect::<Vec<_>>()
    );
}

/// A large catalogue: `count` templates that each look like ours.
fn large(count: usize) -> Catalog {
    let body =
        Catalog::starter().unwrap().templates.into_iter().find(|body| body.key.as_str() == "find-risks").unwrap();
    let yaml = template_to_yaml(&body).unwrap();
    let mut words = String::new();
    for number in 0..250 {
        write!(words, "word{number} ").unwrap();
    }
    let files: BTreeMap<String, String> = (0..count)
        .map(|number| {
            let text = yaml.replacen("key: find-risks", &format!("key: t{number}"), 1).replacen(
                "Name the three",
                &format!("{words}Name the {number}"),
                1,
            );
            (format!("templates/t{number}.yaml"), text)
        })
        .collect();
    Catalog::from_files(files).unwrap()
}

#[tokio::test]
async fn a_large_catalogue_is_recorded_at_once() {
    let journal = Arc::new(Counted::default());
    let commands = Commands::new(Arc::clone(&journal) as _);
    let report = load(&commands, &large(400)).await;
    assert_eq!(report.entries.len(), 400);
    assert_eq!(journal.appends(), 1);
    load(&commands, &large(400)).await;
    assert_eq!(journal.appends(), 1);
}

#[tokio::test]
async fn a_change_that_gets_in_the_way_is_seen_and_kept() {
    let journal = Arc::new(Counted::default());
    let commands = Commands::new(Arc::clone(&journal) as _);
    load(&commands, &office()).await;
    // Between deciding and recording, somebody else registers their own letter.
    let edited = parse_template("t", &TEMPLATE.replace("Write to", "Scribble to")).unwrap();
    let stream = StreamId::from(TemplateId::from_key(&edited.key));
    let command = CommandId::from_uuid(Uuid::now_v7());
    let context = Context {
        command,
        at: commands::now(),
        actor: Actor::person("mona"),
        tenant: "default".to_owned(),
        correlation: command.as_uuid(),
        causation: None,
        subject: None,
        keeping: None,
    };
    let event = TemplateEvent::Revised { version: 2, body: Box::new(edited) };
    let streams = vec![StreamAppend { stream, expected: Expected::Exact(0), events: vec![event.into()] }];
    *journal.first.lock() = Some(Append { streams, context, remember: false });
    let changed = own(&[
        ("agents/clerk.yaml", AGENT.replace("You file.", "You file well.")),
        ("templates/letter.yaml", TEMPLATE.replace("Write to", "Please write to")),
    ]);
    let report = load(&commands, &changed).await;
    assert_eq!(changes(&report), ["revised agent clerk", "kept template letter"]);
    assert!(template(&commands, "letter").await.body().unwrap().instructions.starts_with("Scribble"));
}

/// A journal that counts appends, and can let somebody else go first once.
#[derive(Default)]
struct Counted {
    inner: MemoryJournal,
    appends: Mutex<usize>,
    first: Mutex<Option<Append>>,
}

impl Counted {
    fn appends(&self) -> usize {
        *self.appends.lock()
    }
}

#[async_trait]
impl Journal for Counted {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        *self.appends.lock() += 1;
        let first = self.first.lock().take();
        if let Some(first) = first {
            self.inner.append(first).await.unwrap();
        }
        self.inner.append(append).await
    }

    async fn read_stream(
        &self,
        stream: StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Arc<RecordedEvent>>, ReadError> {
        self.inner.read_stream(stream, from, limit).await
    }

    async fn read_all(&self, after: Position, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        self.inner.read_all(after, filter, limit).await
    }

    async fn read_back(&self, before: Option<Position>, filter: &Filter, limit: usize) -> Result<Page, ReadError> {
        self.inner.read_back(before, filter, limit).await
    }

    async fn read_entries(&self, after: Position, limit: usize) -> Result<Vec<Entry>, ReadError> {
        self.inner.read_entries(after, limit).await
    }

    fn subscribe(&self, after: Position, filter: Filter) -> Subscription {
        self.inner.subscribe(after, filter)
    }

    async fn head(&self) -> Result<Position, ReadError> {
        self.inner.head().await
    }

    fn seen(&self) -> Position {
        self.inner.seen()
    }

    fn gapless(&self) -> bool {
        self.inner.gapless()
    }

    async fn find_command(&self, command: CommandId) -> Result<Option<Appended>, ReadError> {
        self.inner.find_command(command).await
    }
}
