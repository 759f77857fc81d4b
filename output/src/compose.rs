//! From a report to the text of a document.

use std::collections::BTreeSet;

use domain::Language;
use domain::task::{Output, Priority, Quality, QualitySource};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::prose::{Block, DEEPEST, Item, Span, Table, parse};
use crate::words::{Phrase, status};
use crate::{Compiled, Direction, Failure, Mark, Outcome, Part, Point, Report, Said, Todo};

/// A document, before it has a format.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document {
    pub(crate) title: String,
    pub(crate) language: Language,
    /// The first is the heading.
    pub(crate) blocks: Vec<Block>,
}

impl Document {
    /// The way of what has no letters of its own.
    pub(crate) fn direction(&self) -> Direction {
        match self.language {
            Language::English => Direction::LeftToRight,
            Language::Arabic => Direction::RightToLeft,
        }
    }
}

/// Composes the document of a report.
pub(crate) fn compose(report: &Report, language: Option<Language>) -> Document {
    let language = language.unwrap_or_else(|| language_of(report));
    let mut writer = Writer { language, blocks: Vec::new(), shown: BTreeSet::new() };
    let title = report.title.in_language(language).to_owned();
    writer.blocks.push(Block::heading(1, title.clone()));
    writer.facts(report);
    writer.each(Phrase::Summary, &report.compiled.summaries, report);
    writer.results(report);
    writer.actions(&report.compiled.actions);
    writer.points(Phrase::Improvements, &report.compiled.improvements);
    writer.each(Phrase::Critique, &report.compiled.critiques, report);
    writer.points(Phrase::Alternatives, &report.compiled.alternatives);
    writer.steps(report);
    Document { title, language, blocks: writer.blocks }
}

/// The language in which most of what was found out is written.
fn language_of(report: &Report) -> Language {
    let mut text = String::new();
    report.results.values().for_each(|value| strings(value, &mut |string| text.push_str(string)));
    if text.is_empty() {
        let outputs = report.steps.iter().filter_map(|part| part.output.as_ref());
        outputs.for_each(|value| strings(value, &mut |string| text.push_str(string)));
    }
    match Direction::of(&text) {
        Some(Direction::RightToLeft) => Language::Arabic,
        _ => Language::English,
    }
}

fn strings<'v>(value: &'v Value, act: &mut impl FnMut(&'v str)) {
    match value {
        Value::String(text) => act(text),
        Value::Array(values) => values.iter().for_each(|value| strings(value, act)),
        Value::Object(fields) => fields.values().for_each(|value| strings(value, act)),
        _ => {}
    }
}

struct Writer<'r> {
    language: Language,
    blocks: Vec<Block>,
    /// Texts that stand under the results and need not be written again.
    shown: BTreeSet<&'r str>,
}

impl<'r> Writer<'r> {
    fn say(&self, phrase: Phrase) -> &'static str {
        phrase.in_language(self.language)
    }

    fn heading(&mut self, level: u8, text: impl Into<String>) {
        self.blocks.push(Block::heading(level, text));
    }

    fn note(&mut self, phrase: Phrase) {
        let text = self.say(phrase);
        self.blocks.push(Block::line(Span::emphasis(text)));
    }

    fn facts(&mut self, report: &Report) {
        let mut facts = Vec::new();
        let version = format!(" ({} {})", self.say(Phrase::Version), report.version);
        facts.push(self.fact(Phrase::Workflow, vec![Span::code(report.workflow.clone()), Span::plain(version)]));
        facts.push(self.fact(Phrase::Run, vec![Span::code(report.run.clone())]));
        facts.push(self.fact(Phrase::Status, vec![Span::plain(status(&report.status, self.language))]));
        for (phrase, at) in [(Phrase::Started, report.started_at), (Phrase::Ended, report.ended_at)] {
            facts.extend(at.map(|at| self.fact(phrase, vec![Span::plain(moment(at))])));
        }
        facts.extend(self.quality(&report.compiled));
        self.blocks.push(Block::List { start: None, items: facts });
        if report.simulated {
            let warning = Block::line(Span::strong(self.say(Phrase::PartlySimulated)));
            self.blocks.push(Block::Quote(vec![warning]));
        }
        if let Some(error) = &report.error {
            self.failure(error);
        }
    }

    /// How good the answers are together, and how many tasks' marks come from whom.
    fn quality(&self, compiled: &Compiled) -> Option<Item> {
        let score = compiled.quality?;
        let from = QualitySource::ALL.iter().rev().filter_map(|source| {
            let count = compiled.quality_sources.of(*source);
            (count > 0).then(|| format!("{}: {count}", self.say(who(*source))))
        });
        let from = from.collect::<Vec<_>>().join(self.comma());
        let text = format!("{score}/10 – {} ({from})", self.say(Phrase::AverageThatCounts));
        Some(self.fact(Phrase::Quality, vec![Span::plain(text)]))
    }

    /// What stands between the entries of a short enumeration.
    fn comma(&self) -> &'static str {
        match self.language {
            Language::English => ", ",
            Language::Arabic => "، ",
        }
    }

    /// A mark with whose it is, and of how many marks or checks.
    fn mark(&self, mark: &Mark, checks: Option<&Quality>) -> String {
        let Mark { source, score, count, .. } = mark;
        let by = self.say(who(*source));
        match (source, checks) {
            (QualitySource::Checks, Some(Quality { checks, .. })) => {
                let holds = checks.iter().filter(|check| check.holds).count();
                format!("{score}/10 ({holds}/{} {})", checks.len(), self.say(Phrase::ChecksHold))
            }
            (QualitySource::People | QualitySource::Judge, _) if *count > 1 => {
                format!("{score}/10 ({by}{}{} {count})", self.comma(), self.say(Phrase::MedianOf))
            }
            _ => format!("{score}/10 ({by})"),
        }
    }

    fn fact(&self, phrase: Phrase, mut value: Vec<Span>) -> Item {
        value.insert(0, Span::strong(format!("{}:", self.say(phrase))));
        value.insert(1, Span::plain(" "));
        Item { checked: None, blocks: vec![Block::Paragraph(value)] }
    }

    fn failure(&mut self, error: &Failure) {
        let mut spans = match &error.step {
            Some(step) => vec![Span::strong(format!("{} ", self.say(Phrase::FailedAt))), Span::code(step.clone())],
            None => vec![Span::strong(self.say(Phrase::Failed))],
        };
        spans.push(Span::plain(format!(": {} ({})", error.message, error.kind)));
        self.blocks.push(Block::Paragraph(spans));
    }

    fn results(&mut self, report: &'r Report) {
        self.heading(2, self.say(Phrase::Results));
        if report.results.is_empty() {
            self.note(if report.ended_at.is_some() { Phrase::NoResults } else { Phrase::NotEnded });
            return;
        }
        self.fields(&report.results, 3);
        report.results.values().for_each(|value| {
            strings(value, &mut |text| {
                self.shown.insert(text);
            });
        });
    }

    fn steps(&mut self, report: &Report) {
        if report.steps.is_empty() {
            return;
        }
        self.heading(2, self.say(Phrase::Steps));
        for part in &report.steps {
            self.step(part);
            for outcome in report.outcomes.iter().filter(|outcome| outcome.step == part.step) {
                self.outcome(outcome);
            }
        }
    }

    /// What each of several steps says, under one heading.
    fn each(&mut self, phrase: Phrase, said: &[Said], report: &Report) {
        if said.is_empty() {
            return;
        }
        self.heading(2, self.say(phrase));
        for Said { step, text } in said {
            if said.len() > 1 {
                let title = report.steps.iter().find(|part| part.step == *step).map(|part| &part.title);
                let title =
                    title.map(|title| title.in_language(self.language)).filter(|title| !title.trim().is_empty());
                self.heading(3, title.unwrap_or(step.as_str()));
            }
            self.blocks.extend(parse(text, 4));
        }
    }

    fn points(&mut self, phrase: Phrase, points: &[Point]) {
        if points.is_empty() {
            return;
        }
        self.heading(2, self.say(phrase));
        let item = |point: &Point| Item { checked: None, blocks: parse(&point.text, 4) };
        self.blocks.push(Block::List { start: None, items: points.iter().map(item).collect() });
    }

    fn actions(&mut self, todos: &[Todo]) {
        if todos.is_empty() {
            return;
        }
        self.heading(2, self.say(Phrase::Actions));
        let head = [Phrase::What, Phrase::Owner, Phrase::Due, Phrase::Priority]
            .map(|phrase| vec![Span::plain(self.say(phrase))]);
        let cell = |text: Option<&str>| text.map(|text| vec![Span::plain(text)]).unwrap_or_default();
        let row = |todo: &Todo| {
            let priority = todo.item.priority.map(|priority| {
                self.say(match priority {
                    Priority::High => Phrase::High,
                    Priority::Medium => Phrase::Medium,
                    Priority::Low => Phrase::Low,
                })
            });
            let what = parse(&todo.item.what, 4).into_iter().find_map(|block| match block {
                Block::Paragraph(spans) => Some(spans),
                _ => None,
            });
            let what = what.unwrap_or_else(|| vec![Span::plain(todo.item.what.clone())]);
            vec![what, cell(todo.item.owner.as_deref()), cell(todo.item.due.as_deref()), cell(priority)]
        };
        let rows = todos.iter().map(row).collect();
        let alignments = vec![pulldown_cmark::Alignment::None; head.len()];
        self.blocks.push(Block::Table(Table { alignments, head: head.to_vec(), rows }));
    }

    /// How good the answer of a task is, and which parts of its output are absent.
    fn outcome(&mut self, outcome: &Outcome) {
        let mut items = Vec::new();
        let (counting, others): (Vec<_>, Vec<_>) = outcome.marks.iter().partition(|mark| mark.counts);
        for (phrase, marks) in [(Phrase::Quality, counting), (Phrase::OtherMarks, others)] {
            let told: Vec<String> = marks.into_iter().map(|mark| self.mark(mark, outcome.quality.as_ref())).collect();
            if !told.is_empty() {
                items.push(self.fact(phrase, vec![Span::plain(told.join("; "))]));
            }
        }
        if let Some(Quality { checks, .. }) = &outcome.quality {
            let unmet: Vec<&str> =
                checks.iter().filter(|check| !check.holds).map(|check| check.what.as_str()).collect();
            if !unmet.is_empty() {
                items.push(self.fact(Phrase::Unmet, vec![Span::plain(unmet.join("; "))]));
            }
        }
        if let Some(output) = &outcome.output {
            if let Some(rating) = &output.rating {
                items.push(self.fact(Phrase::OwnRating, vec![Span::plain(format!("{}/10", rating.score))]));
            }
            let absent: Vec<&str> = absent(output).into_iter().map(|phrase| self.say(phrase)).collect();
            if !absent.is_empty() {
                items.push(self.fact(Phrase::Absent, vec![Span::plain(absent.join("; "))]));
            }
        }
        if items.is_empty() {
            return;
        }
        if let Some(item) = outcome.item {
            let title = format!("{} {}", self.say(Phrase::Item), u64::from(item).saturating_add(1));
            self.blocks.push(Block::line(Span::strong(title)));
        }
        self.blocks.push(Block::List { start: None, items });
    }

    fn step(&mut self, part: &Part) {
        let title = part.title.in_language(self.language);
        let title = if title.trim().is_empty() { part.step.as_str() } else { title };
        self.heading(3, title);
        let mut facts = vec![self.fact(Phrase::Status, vec![Span::plain(status(&part.status, self.language))])];
        for (phrase, key) in [(Phrase::Agent, &part.agent), (Phrase::Template, &part.template)] {
            facts.extend(key.as_ref().map(|key| self.fact(phrase, vec![Span::code(key.clone())])));
        }
        self.blocks.push(Block::List { start: None, items: facts });
        if part.simulated {
            self.note(Phrase::Simulated);
        }
        if let Some(error) = &part.error {
            self.failure(error);
        }
        if let Some(reason) = &part.skip_reason {
            let spans = vec![Span::strong(self.say(Phrase::Skipped)), Span::plain(format!(": {reason}"))];
            self.blocks.push(Block::Paragraph(spans));
        }
        match &part.output {
            Some(Value::Object(fields)) if !fields.is_empty() => self.fields(fields, 4),
            Some(value) if !value.is_null() && *value != Value::Object(Map::new()) => self.value(value, 4, 0),
            _ if part.status == "completed" => self.note(Phrase::NoOutput),
            _ => {}
        }
    }

    /// The values of an object, each under its name; one text alone needs no name.
    fn fields(&mut self, fields: &Map<String, Value>, level: u8) {
        self.fields_at(fields, level, 0);
    }

    fn fields_at(&mut self, fields: &Map<String, Value>, level: u8, depth: usize) {
        if let Some((name, value @ Value::String(_))) = fields.iter().next()
            && fields.len() == 1
            && matches!(name.as_str(), "text" | "result" | "output" | "answer")
        {
            return self.value(value, level, depth);
        }
        let (short, long): (Vec<_>, Vec<_>) = fields.iter().partition(|(_, value)| is_short(value));
        let short = short.into_iter().map(|(name, value)| self.short(name, value)).collect::<Vec<_>>();
        if !short.is_empty() {
            self.blocks.push(Block::List { start: None, items: short });
        }
        for (name, value) in long {
            self.heading(level, readable(name));
            self.value(value, level.saturating_add(1), depth);
        }
    }

    fn short(&self, name: &str, value: &Value) -> Item {
        let spans = vec![Span::strong(format!("{}:", readable(name))), Span::plain(format!(" {}", self.scalar(value)))];
        Item { checked: None, blocks: vec![Block::Paragraph(spans)] }
    }

    fn scalar(&self, value: &Value) -> String {
        match value {
            Value::Null => self.say(Phrase::Nothing).to_owned(),
            Value::Bool(true) => self.say(Phrase::Yes).to_owned(),
            Value::Bool(false) => self.say(Phrase::No).to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    fn value(&mut self, value: &Value, level: u8, depth: usize) {
        match value {
            Value::String(text) if self.shown.contains(text.as_str()) => self.note(Phrase::ShownAbove),
            Value::String(text) => self.blocks.extend(parse(text, level.clamp(1, 6))),
            // Deep data is for programs.
            Value::Array(_) | Value::Object(_) if depth >= DEEPEST => self.data(value),
            Value::Object(fields) => self.fields_at(fields, level, depth.saturating_add(1)),
            Value::Array(values) if values.iter().all(is_short) => self.list(values),
            Value::Array(values) => match table(values, |value| self.scalar(value)) {
                Some(table) => self.blocks.push(table),
                None => {
                    for (index, value) in values.iter().enumerate() {
                        self.heading(level, format!("{} {}", self.say(Phrase::Item), index.saturating_add(1)));
                        self.value(value, level.saturating_add(1), depth.saturating_add(1));
                    }
                }
            },
            scalar => self.blocks.push(Block::line(Span::plain(self.scalar(scalar)))),
        }
    }

    fn list(&mut self, values: &[Value]) {
        if values.is_empty() {
            return self.note(Phrase::Nothing);
        }
        let item = |value| Item { checked: None, blocks: vec![Block::line(Span::plain(self.scalar(value)))] };
        let items = values.iter().map(item).collect();
        self.blocks.push(Block::List { start: None, items });
    }

    fn data(&mut self, value: &Value) {
        // Written from a value that was read, so there is nothing that cannot be written.
        let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
        self.blocks.push(Block::Code { language: "json".to_owned(), text });
    }
}

/// The word for who says how good something is.
const fn who(source: QualitySource) -> Phrase {
    match source {
        QualitySource::People => Phrase::People,
        QualitySource::Judge => Phrase::Judge,
        QualitySource::Checks => Phrase::Checks,
    }
}

/// The parts that a model was asked for and did not give.
fn absent(output: &Output) -> Vec<Phrase> {
    let parts = [
        (output.summary.is_none(), Phrase::Summary),
        (output.improvements.is_none(), Phrase::Improvements),
        (output.critique.is_none(), Phrase::Critique),
        (output.alternatives.is_none(), Phrase::Alternatives),
        (output.actions.is_none(), Phrase::Actions),
        (output.rating.is_none(), Phrase::OwnRating),
    ];
    parts.into_iter().filter(|(is_absent, _)| *is_absent).map(|(_, phrase)| phrase).collect()
}

/// Whether a value fits on a line.
fn is_short(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => true,
        Value::String(text) => text.chars().count() <= 120 && !text.contains(['\n', '|', '`', '#', '*', '_', '[']),
        Value::Array(_) | Value::Object(_) => false,
    }
}

/// A table, when all values are objects of the same short fields.
fn table(values: &[Value], scalar: impl Fn(&Value) -> String) -> Option<Block> {
    let first = values.first()?.as_object()?;
    if first.is_empty() || first.len() > 8 {
        return None;
    }
    let mut rows = Vec::with_capacity(values.len());
    for value in values {
        let fields = value.as_object()?;
        if fields.len() != first.len() || !fields.values().all(is_short) {
            return None;
        }
        let cells = first.keys().map(|name| Some(vec![Span::plain(scalar(fields.get(name)?))]));
        rows.push(cells.collect::<Option<Vec<_>>>()?);
    }
    let head = first.keys().map(|name| vec![Span::plain(readable(name))]).collect();
    let alignments = first.keys().map(|_| pulldown_cmark::Alignment::None).collect();
    Some(Block::Table(Table { alignments, head, rows }))
}

/// A name of data as people write it.
fn readable(name: &str) -> String {
    name.replace(['_', '-'], " ").trim().to_owned()
}

/// In UTC, to the minute.
fn moment(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string()
}
