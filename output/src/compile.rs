//! What the outputs of a run's tasks come to together.

use domain::action::{absorb, same_words as same};
use domain::task::{ActionItem, Output, Priority, Quality, Score};
use serde::{Deserialize, Serialize};

use crate::{Mark, RunQuality, Sources};

/// What one task of a run ended in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The step that it belongs to.
    pub step: String,
    /// The element of the step's list that it was for, from 0.
    pub item: Option<u32>,
    /// The parts of its output; `None` when only the results were asked for.
    pub output: Option<Output>,
    /// How good its answer is by what a program can decide.
    pub quality: Option<Quality>,
    /// How good its answer is by everybody who says so: people, a judge, programs; the mark that counts comes first.
    #[serde(default)]
    pub marks: Vec<Mark>,
}

/// What the outputs come to together.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Compiled {
    /// The summaries, step by step.
    pub summaries: Vec<Said>,
    /// What would make the results better; what several steps say is there once.
    pub improvements: Vec<Point>,
    /// What professionals would find fault with, step by step.
    pub critiques: Vec<Said>,
    /// What could be done instead; what several steps say is there once.
    pub alternatives: Vec<Point>,
    /// What somebody has to do now; what several steps ask for is there once, the most pressing first.
    pub actions: Vec<Todo>,
    /// The average of the marks that count of its tasks; `None` when nobody says how good any of them is.
    pub quality: Option<Score>,
    /// Whose marks those are.
    #[serde(default)]
    pub quality_sources: Sources,
}

/// What one step says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// Which step.
    pub step: String,
    /// What, as Markdown.
    pub text: String,
}

/// What one or more steps say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Point {
    /// What, as Markdown.
    pub text: String,
    /// Which steps.
    pub steps: Vec<String>,
}

/// Something to do that one or more steps ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Todo {
    /// What, by whom, until when.
    #[serde(flatten)]
    pub item: ActionItem,
    /// Which steps.
    pub steps: Vec<String>,
}

impl Compiled {
    /// Compiles outcomes, in the order of their steps.
    #[must_use]
    pub fn of(outcomes: &[Outcome]) -> Self {
        let mut compiled = Self::default();
        for Outcome { step, output, .. } in outcomes {
            let Some(output) = output else { continue };
            let said = |text: &Option<String>| text.clone().map(|text| Said { step: step.clone(), text });
            compiled.summaries.extend(said(&output.summary));
            compiled.critiques.extend(said(&output.critique));
            for (points, texts) in
                [(&mut compiled.improvements, &output.improvements), (&mut compiled.alternatives, &output.alternatives)]
            {
                texts.iter().flatten().for_each(|text| point(points, text, step));
            }
            output.actions.iter().flatten().for_each(|item| todo(&mut compiled.actions, item, step));
        }
        // Those without a priority come with the usual ones; the order of the steps decides between equals.
        compiled.actions.sort_by_key(|todo| todo.item.priority.unwrap_or(Priority::Medium));
        let counting = outcomes.iter().filter_map(|outcome| outcome.marks.iter().find(|mark| mark.counts));
        if let Some(RunQuality { score, sources }) = RunQuality::of(counting.map(|mark| (mark.source, mark.score))) {
            (compiled.quality, compiled.quality_sources) = (Some(score), sources);
        }
        compiled
    }
}

fn point(points: &mut Vec<Point>, text: &str, step: &str) {
    match points.iter_mut().find(|point| same(&point.text, text)) {
        Some(point) => mention(&mut point.steps, step),
        None => points.push(Point { text: text.to_owned(), steps: vec![step.to_owned()] }),
    }
}

/// What is asked for twice is one thing to do.
fn todo(todos: &mut Vec<Todo>, item: &ActionItem, step: &str) {
    match todos.iter_mut().find_map(|todo| absorb(&mut todo.item, item).then_some(todo)) {
        Some(todo) => mention(&mut todo.steps, step),
        None => todos.push(Todo { item: item.clone(), steps: vec![step.to_owned()] }),
    }
}

fn mention(steps: &mut Vec<String>, step: &str) {
    if !steps.iter().any(|known| known == step) {
        steps.push(step.to_owned());
    }
}

#[cfg(test)]
mod tests {
    use domain::task::QualitySource;

    use super::*;

    fn action(what: &str, owner: Option<&str>, priority: Option<Priority>) -> ActionItem {
        ActionItem { what: what.to_owned(), owner: owner.map(str::to_owned), due: None, priority }
    }

    fn outcome(step: &str, output: Output) -> Outcome {
        Outcome { step: step.to_owned(), item: None, output: Some(output), quality: None, marks: vec![] }
    }

    #[test]
    fn what_several_steps_say_is_there_once() {
        let one = Output {
            improvements: Some(vec!["Name the currency.".to_owned()]),
            actions: Some(vec![
                action("Ask finance", None, Some(Priority::Low)),
                action("File it", Some("Huda"), None),
            ]),
            ..Output::default()
        };
        let two = Output {
            summary: Some("Done.".to_owned()),
            improvements: Some(vec!["name the **currency**".to_owned(), "Shorten it".to_owned()]),
            actions: Some(vec![
                action("ask Finance.", Some("Omar"), Some(Priority::High)),
                action("File it", Some("Sara"), None),
            ]),
            ..Output::default()
        };
        let compiled = Compiled::of(&[outcome("one", one), outcome("two", two)]);
        assert_eq!(compiled.summaries, [Said { step: "two".to_owned(), text: "Done.".to_owned() }]);
        let steps: Vec<_> = compiled.improvements.iter().map(|point| point.steps.join(" ")).collect();
        assert_eq!(steps, ["one two", "two"]);
        let actions: Vec<_> = compiled
            .actions
            .iter()
            .map(|todo| (todo.item.what.as_str(), todo.item.owner.as_deref(), todo.steps.len()))
            .collect();
        // The same thing for two people is two things.
        assert_eq!(
            actions,
            [("Ask finance", Some("Omar"), 2), ("File it", Some("Huda"), 1), ("File it", Some("Sara"), 1)]
        );
    }

    #[test]
    fn only_marks_that_count_make_the_quality_of_a_run() {
        let mark = |source, hundredths, counts| Mark {
            source,
            score: Score::of_hundredths(hundredths).unwrap_or(Score::LOWEST),
            count: 1,
            counts,
        };
        let marked = |marks| Outcome { marks, ..outcome("one", Output::default()) };
        let people = vec![mark(QualitySource::People, 300, true), mark(QualitySource::Checks, 1000, false)];
        let checks = vec![mark(QualitySource::Checks, 800, true)];
        let compiled = Compiled::of(&[marked(people), marked(checks), marked(vec![])]);
        assert_eq!(compiled.quality.map(Score::hundredths), Some(550));
        assert_eq!(compiled.quality_sources, Sources { people: 1, judge: 0, checks: 1 });
        let none = Compiled::of(&[marked(vec![])]);
        assert_eq!((none.quality, none.quality_sources), (None, Sources::default()));
    }
}
