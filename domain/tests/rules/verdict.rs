use domain::task::{
    Checked, FailedJudgement, Judgement, PersonRating, Quality, QualitySource, Review, Score, Shift, Standing,
    TaskStatus, Version,
};
use domain::{Actor, AgentId, Refusal, RunId, TaskCommand, TaskEvent, TaskRefusal};
use proptest::collection::vec;
use proptest::prelude::*;

use super::fixtures::{at, reply, uuid};
use super::task::{assigned, created, given, started};

fn mark(hundredths: u16) -> Score {
    Score::of_hundredths(hundredths).unwrap()
}

fn rating(by: &str, hundredths: u16, comment: &str) -> PersonRating {
    PersonRating { by: Actor::person(by), mark: mark(hundredths), comment: comment.to_owned(), at: at(9) }
}

fn rate(rating: PersonRating) -> TaskCommand {
    TaskCommand::Rate { rating, completed_at: at(5) }
}

fn rated(PersonRating { by, mark, comment, at }: PersonRating, from: Option<u16>, to: u16) -> TaskEvent {
    TaskEvent::Rated { by, mark, comment, at, shift: shift(from, to) }
}

fn shift(from: Option<u16>, to: u16) -> Option<Shift> {
    let agent = AgentId::from_uuid(uuid(4));
    Some(Shift { agent, completed_at: at(5), from: from.map(mark), to: mark(to) })
}

fn judgement(marks: &[u16]) -> Box<Judgement> {
    Box::new(Judgement {
        run: RunId::from_uuid(uuid(8)),
        agent: AgentId::from_uuid(uuid(9)),
        model: "judge".to_owned(),
        author: "author".to_owned(),
        asked: 3,
        marks: marks.iter().copied().map(mark).collect(),
        at: at(8),
    })
}

fn judge(marks: &[u16]) -> TaskCommand {
    TaskCommand::Judge { judgement: judgement(marks), reason: "sound".to_owned(), completed_at: at(5) }
}

fn judged(marks: &[u16], shift: Option<Shift>) -> TaskEvent {
    TaskEvent::Judged { judgement: judgement(marks), reason: "sound".to_owned(), shift }
}

/// A task that has completed, with what programs have checked.
fn completed(checks: Option<u16>) -> Vec<TaskEvent> {
    let check = Checked { item: None, what: "it says something".to_owned(), holds: true };
    let quality = checks.map(|checks| Box::new(Quality { score: mark(checks), checks: vec![check] }));
    vec![
        created(),
        assigned(),
        started(1),
        TaskEvent::AttemptSucceeded { attempt: 1, reply: Box::new(reply("done")) },
        TaskEvent::Completed { attempt: 1, output: None, quality, review: None },
    ]
}

fn after(events: &[TaskEvent]) -> Vec<TaskEvent> {
    [completed(Some(400)), events.to_vec()].concat()
}

#[test]
fn only_an_answer_can_be_rated_or_judged() {
    given(vec![]).when(rate(rating("ada", 700, ""))).then_expect_error(TaskRefusal::NotFound);
    let wish = |wish| TaskRefusal::NotCompleted { status: TaskStatus::Running, wish };
    let running = || vec![created(), assigned(), started(1)];
    given(running()).when(rate(rating("ada", 700, ""))).then_expect_error(wish("rated"));
    given(running()).when(judge(&[700])).then_expect_error(wish("judged"));
    assert_eq!((TaskRefusal::NotFound.code(), wish("rated").code()), ("TASK_NOT_FOUND", "TASK_NOT_COMPLETED"));
}

#[test]
fn a_rating_counts_and_says_what_it_changes() {
    let first = rating("ada", 700, "fine");
    given(completed(Some(400))).when(rate(first.clone())).then_expect_events(vec![rated(
        first.clone(),
        Some(400),
        700,
    )]);
    given(completed(None)).when(rate(first.clone())).then_expect_events(vec![rated(first.clone(), None, 700)]);
    let known = after(&[rated(first.clone(), Some(400), 700)]);
    given(known.clone()).when(rate(first)).then_expect_events(vec![]);
    // The same person thinks again: their last rating counts. Somebody else's counts beside it, by the median.
    let again = rating("ada", 300, "not so fine");
    given(known.clone()).when(rate(again.clone())).then_expect_events(vec![rated(again, Some(700), 300)]);
    let other = rating("bob", 900, "");
    given(known).when(rate(other.clone())).then_expect_events(vec![rated(other, Some(700), 800)]);
}

#[test]
fn a_judge_counts_until_people_rate_and_is_asked_once() {
    given(completed(Some(400)))
        .when(judge(&[900, 600, 700]))
        .then_expect_events(vec![judged(&[900, 600, 700], shift(Some(400), 700))]);
    let known = after(&[judged(&[900, 600, 700], shift(Some(400), 700))]);
    given(known.clone()).when(judge(&[100])).then_expect_events(vec![]);
    let people = rating("ada", 200, "");
    given(known).when(rate(people.clone())).then_expect_events(vec![rated(people.clone(), Some(700), 200)]);
    // What people say counts already.
    let rated = after(&[rated(people, Some(400), 200)]);
    given(rated).when(judge(&[900])).then_expect_events(vec![judged(&[900], None)]);
}

#[test]
fn a_judge_that_fails_is_recorded_and_not_asked_again() {
    let failed = FailedJudgement { run: None, reason: "no platform".to_owned(), at: at(8) };
    let event = TaskEvent::JudgingFailed { run: None, reason: "no platform".to_owned(), at: at(8) };
    let fail = TaskCommand::FailJudging { failed };
    given(completed(None)).when(fail.clone()).then_expect_events(vec![event.clone()]);
    given(after(std::slice::from_ref(&event))).when(fail).then_expect_events(vec![]);
    given(after(&[event])).when(judge(&[900])).then_expect_events(vec![]);
}

#[test]
fn every_source_is_told_and_the_nearest_to_people_counts() {
    let quality = Quality { score: mark(400), checks: vec![] };
    let standing =
        Standing::of(Some(&quality), Some(&judgement(&[900, 650])), &[rating("a", 200, ""), rating("b", 1000, "")]);
    let standing = standing.unwrap();
    let told: Vec<_> = standing
        .parts()
        .iter()
        .map(|part| (part.source.name(), part.mark.hundredths(), part.count, part.spread))
        .collect();
    assert_eq!(told, [("checks", 400, 0, 0), ("judge", 775, 2, 250), ("people", 600, 2, 800)]);
    assert_eq!(standing.counting().unwrap().source, QualitySource::People);
    assert_eq!(Standing::of(None, None, &[]), None);
}

#[test]
fn of_equal_versions_the_first_is_the_best() {
    let version = |attempt, checks: Option<u16>, own: Option<u16>| Version {
        attempt,
        checks: checks.map(mark),
        own: own.map(mark),
    };
    let best = |versions: Vec<Version>| {
        let review = Review { versions, rounds: 1 };
        (review.best().unwrap().attempt, review.gain())
    };
    assert_eq!(best(vec![version(1, Some(500), None), version(2, Some(700), None)]), (2, Some(200)));
    assert_eq!(best(vec![version(1, Some(700), None), version(2, Some(500), Some(1000))]), (1, Some(0)));
    assert_eq!(best(vec![version(1, Some(700), Some(600)), version(2, Some(700), Some(800))]), (2, Some(0)));
    assert_eq!(best(vec![version(1, None, Some(600)), version(2, None, Some(600))]), (1, None));
}

proptest! {
    #[test]
    fn a_median_lies_among_its_marks_and_in_any_order(mut marks in vec(100_u16..=1000, 1..20)) {
        let scores: Vec<Score> = marks.iter().copied().map(mark).collect();
        let median = Score::median(&scores).unwrap().hundredths();
        marks.sort_unstable();
        let turned: Vec<Score> = marks.iter().rev().copied().map(mark).collect();
        prop_assert_eq!(Score::median(&turned).unwrap().hundredths(), median);
        let (below, above) = (marks.iter().filter(|mark| **mark < median).count(), marks.iter().filter(|mark| **mark > median).count());
        prop_assert!(below <= marks.len() / 2 && above <= marks.len() / 2);
        prop_assert!(marks[0] <= median && median <= marks[marks.len() - 1]);
    }
}
