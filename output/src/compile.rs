//! What the outputs of a run's tasks come to together.

use domain::action::{absorb, same_words as same};
use domain::task::{ActionItem, Output, Priority, Quality, Score};
use serde::{Deserialize, Serialize};

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
    /// The average of what programs could decide; `None` when there was nothing to decide.
    pub quality: Option<Score>,
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
        let mut marks: Vec<u64> = Vec::new();
        for Outcome { step, output, quality, .. } in outcomes {
            marks.extend(quality.as_ref().map(|quality| u64::from(quality.score.hundredths())));
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
        let count = u64::try_from(marks.len()).unwrap_or(u64::MAX);
        let average = marks.iter().sum::<u64>().checked_div(count).and_then(|mark| u16::try_from(mark).ok());
        compiled.quality = average.and_then(Score::of_hundredths);
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
    use super::*;

    fn action(what: &str, owner: Option<&str>, priority: Option<Priority>) -> ActionItem {
        ActionItem { what: what.to_owned(), owner: owner.map(str::to_owned), due: None, priority }
    }

    fn outcome(step: &str, output: Output) -> Outcome {
        Outcome { step: step.to_owned(), item: None, output: Some(output), quality: None }
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
}
