#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeMap;

use domain::{Capability, Key, Timestamp};
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_micros(1_764_000_000_000_000);

fn key(text: &str) -> Key {
    text.parse().expect("a key")
}

fn specialist(name: &str, capabilities: &[Capability]) -> Candidate {
    Candidate::new(key(name), capabilities.to_vec())
}

fn legal() -> Task {
    Task { needs: vec![(Capability::Legal, 1.0)], ..Task::default() }
}

fn history(quality: f64, cost: f64, seconds: f64, failures: f64, count: f64) -> History {
    History {
        quality: Average::of(quality, count, NOW),
        cost_usd: Average::of(cost, count, NOW),
        seconds: Average::of(seconds, count, NOW),
        failures: Average::of(failures, count, NOW),
    }
}

fn chosen(task: &Task, candidates: &[Candidate]) -> Option<String> {
    choose(task, candidates, &Policy::default(), NOW).agent.map(|key| key.to_string())
}

#[test]
fn the_score_is_what_the_specification_says() {
    let factors = Factors { capability: 1.0, quality: 0.8, availability: 0.3, cost: 0.5, speed: 0.25 };
    assert!((factors.score() - (0.4 + 0.2 + 0.045 + 0.05 + 0.025)).abs() < 1e-12);
    let all = Factors { capability: 1.0, quality: 1.0, availability: 1.0, cost: 1.0, speed: 1.0 };
    assert!((all.score() - 1.0).abs() < 1e-12);
}

#[test]
fn the_better_of_two_specialists_is_chosen_whatever_their_order() {
    let good = Candidate { history: history(9.0, 0.2, 60.0, 0.0, 20.0), ..specialist("a", &[Capability::Legal]) };
    let poor = Candidate { history: history(4.0, 0.2, 60.0, 0.0, 20.0), ..specialist("b", &[Capability::Legal]) };
    let other = specialist("c", &[Capability::Finance]);
    let one = choose(&legal(), &[poor.clone(), other.clone(), good.clone()], &Policy::default(), NOW);
    let two = choose(&legal(), &[good, poor, other], &Policy::default(), NOW);
    assert_eq!(one, two);
    assert_eq!((one.agent.expect("an agent").as_str(), one.reason), ("a", Reason::Best));
    assert_eq!(one.candidates.len(), 3);
    assert_eq!(one.candidates[2].excluded, Some(Exclusion::Incapable));
}

#[test]
fn a_new_agent_is_neither_the_best_nor_the_worst() {
    let good = Candidate { history: history(9.0, 0.1, 30.0, 0.0, 20.0), ..specialist("good", &[Capability::Legal]) };
    let poor = Candidate { history: history(5.0, 0.8, 200.0, 0.0, 20.0), ..specialist("poor", &[Capability::Legal]) };
    let choice = choose(&legal(), &[poor, specialist("new", &[Capability::Legal]), good], &Policy::default(), NOW);
    let order: Vec<&str> = choice.candidates.iter().map(|considered| considered.key.as_str()).collect();
    assert_eq!(order, ["good", "new", "poor"]);
    assert_eq!(choice.candidates[1].experience, 0.0);
}

#[test]
fn without_a_specialist_who_is_good_enough_the_general_purpose_agent_does_it() {
    let general = specialist("generalist", &[]);
    let nobody = choose(&legal(), &[general.clone(), specialist("x", &[Capability::Hr])], &Policy::default(), NOW);
    assert_eq!((nobody.agent, nobody.reason), (Some(key("generalist")), Reason::NoSpecialist));
    let vague = Task { needs: vec![(Capability::Legal, 0.2)], ..Task::default() };
    let choice =
        choose(&vague, &[general.clone(), specialist("lawyer", &[Capability::Legal])], &Policy::default(), NOW);
    assert_eq!(choice.agent, Some(key("generalist")));
    assert!(matches!(choice.reason, Reason::BelowMinimum { best, .. } if best < 0.6), "{:?}", choice.reason);
    let anybody =
        choose(&Task::default(), &[general, specialist("lawyer", &[Capability::Legal])], &Policy::default(), NOW);
    assert_eq!((anybody.agent, anybody.reason), (Some(key("generalist")), Reason::AnybodyWill));
    let none = choose(&legal(), &[specialist("x", &[Capability::Hr])], &Policy::default(), NOW);
    assert_eq!((none.agent, none.reason), (None, Reason::Nobody));
}

#[test]
fn the_named_general_purpose_agent_comes_before_others() {
    let policy = Policy { general_purpose: Some(key("zed")), ..Policy::default() };
    let candidates = [specialist("anna", &[]), specialist("zed", &[])];
    assert_eq!(choose(&legal(), &candidates, &policy, NOW).agent, Some(key("zed")));
    let off = [specialist("anna", &[]), Candidate { state: State::Inactive, ..specialist("zed", &[]) }];
    assert_eq!(choose(&legal(), &off, &policy, NOW).agent, Some(key("anna")));
}

#[test]
fn busy_failing_and_unreachable_agents_lose_availability() {
    let lawyer = |name| specialist(name, &[Capability::Legal]);
    let busy = Candidate { running: 8, ..lawyer("busy") };
    let down = Candidate { state: State::Down, ..lawyer("down") };
    let failing = Candidate { history: history(6.0, 0.5, 150.0, 0.6, 5.0), ..lawyer("failing") };
    let choice = choose(&legal(), &[busy, down, failing, lawyer("well")], &Policy::default(), NOW);
    assert_eq!(choice.agent, Some(key("well")));
    let hindered = choice.candidates.iter().filter(|considered| considered.factors.availability < 0.5).count();
    assert_eq!(hindered, 3);
}

#[test]
fn an_agent_that_does_not_answer_in_the_language_is_left_out() {
    let task = Task { language: Some("ar".to_owned()), ..legal() };
    let english = Candidate { languages: vec!["en".to_owned()], ..specialist("a", &[Capability::Legal]) };
    let both =
        Candidate { languages: vec!["en".to_owned(), "ar-SA".to_owned()], ..specialist("b", &[Capability::Legal]) };
    assert_eq!(chosen(&task, &[english.clone(), both]).as_deref(), Some("b"));
    assert_eq!(chosen(&task, &[english]), None);
}

#[test]
fn among_equals_the_own_department_and_the_narrower_specialist_come_first() {
    let task = Task { department: Some("legal".to_owned()), ..legal() };
    let own = Candidate { department: "legal".to_owned(), ..specialist("z", &[Capability::Legal, Capability::Hr]) };
    let elsewhere = specialist("a", &[Capability::Legal]);
    assert_eq!(chosen(&task, &[elsewhere, own]).as_deref(), Some("z"));
    let wide = specialist("a", &[Capability::Legal, Capability::Hr]);
    let narrow = specialist("b", &[Capability::Legal]);
    assert_eq!(chosen(&legal(), &[wide, narrow]).as_deref(), Some("b"));
}

/// Hands out tasks one after another; each stays with its agent.
fn spread(mut candidates: Vec<Candidate>, tasks: usize) -> BTreeMap<String, u32> {
    for _ in 0..tasks {
        let agent = choose(&legal(), &candidates, &Policy::default(), NOW).agent.expect("an agent");
        candidates.iter_mut().filter(|candidate| candidate.key == agent).for_each(|candidate| candidate.running += 1);
    }
    candidates.into_iter().map(|candidate| (candidate.key.to_string(), candidate.running)).collect()
}

#[test]
fn a_hundred_and_twenty_tasks_are_spread_evenly_among_equals() {
    let candidates = (0..6).map(|number| specialist(&format!("lawyer-{number}"), &[Capability::Legal])).collect();
    assert!(spread(candidates, 120).values().all(|running| *running == 20));
}

#[test]
fn the_best_does_not_get_everything() {
    let lawyer = |number: u32, quality| Candidate {
        history: history(quality, 0.2, 60.0, 0.0, 30.0),
        ..specialist(&format!("lawyer-{number}"), &[Capability::Legal])
    };
    let candidates = vec![lawyer(1, 9.0), lawyer(2, 8.0), lawyer(3, 7.5), lawyer(4, 7.0)];
    let spread = spread(candidates, 120);
    assert!(spread.values().all(|running| *running >= 8), "{spread:?}");
    assert_eq!(spread.values().sum::<u32>(), 120);
}

fn any_capabilities() -> impl Strategy<Value = Vec<Capability>> {
    prop::collection::vec(prop::sample::select(&Capability::ALL[..5]), 0..4)
}

prop_compose! {
    fn any_candidate()(
        name in "[a-z]{1,8}", capabilities in any_capabilities(), state in 0_u8..3, running in 0_u32..12,
        quality in 0.0..12.0_f64, cost in 0.0..3.0_f64, seconds in 0.0..900.0_f64, failures in 0.0..1.0_f64,
        count in 0.0..50.0_f64,
    ) -> Candidate {
        let state = [State::Active, State::Down, State::Inactive][usize::from(state)];
        Candidate { state, running, history: history(quality, cost, seconds, failures, count), ..specialist(&name, &capabilities) }
    }
}

prop_compose! {
    fn any_task()(needs in prop::collection::vec((prop::sample::select(&Capability::ALL[..5]), 0.0..1.0_f64), 0..4)) -> Task {
        Task { needs, ..Task::default() }
    }
}

fn any_factors() -> impl Strategy<Value = [f64; 5]> {
    prop::array::uniform5(prop_oneof![4 => -0.5..1.5_f64, 1 => Just(f64::NAN), 1 => Just(f64::INFINITY)])
}

fn factors([capability, quality, availability, cost, speed]: [f64; 5]) -> Factors {
    Factors { capability, quality, availability, cost, speed }
}

proptest! {
    #[test]
    fn a_score_lies_between_0_and_1(values in any_factors()) {
        let score = factors(values).score();
        prop_assert!((0.0..=1.0 + 1e-12).contains(&score), "{score}");
    }

    #[test]
    fn a_score_does_not_fall_when_a_factor_rises(
        values in prop::array::uniform5(0.0..1.0_f64), which in 0_usize..5, more in 0.0..1.0_f64,
    ) {
        let mut raised = values;
        raised[which] += more;
        prop_assert!(factors(raised).score() >= factors(values).score());
    }

    #[test]
    fn doing_better_does_not_lower_a_score(
        candidates in prop::collection::vec(any_candidate(), 1..6), task in any_task(), which in 0_usize..4,
    ) {
        let score = |candidates: &[Candidate]| {
            let choice = choose(&task, candidates, &Policy::default(), NOW);
            choice.candidates.into_iter().find(|considered| considered.key.as_str() == "me").expect("me").score
        };
        let mut candidates = candidates;
        candidates[0].key = key("me");
        candidates[0].history = history(5.0, 0.6, 200.0, 0.6, 10.0);
        let before = score(&candidates);
        candidates[0].history = match which {
            0 => history(8.0, 0.6, 200.0, 0.6, 10.0),
            1 => history(5.0, 0.2, 200.0, 0.6, 10.0),
            2 => history(5.0, 0.6, 90.0, 0.6, 10.0),
            _ => history(5.0, 0.6, 200.0, 0.1, 10.0),
        };
        prop_assert!(score(&candidates) >= before - 1e-12);
    }

    #[test]
    fn nobody_is_chosen_who_is_inactive_or_incapable(
        candidates in prop::collection::vec(any_candidate(), 0..8), task in any_task(),
    ) {
        let choice = choose(&task, &candidates, &Policy::default(), NOW);
        prop_assert_eq!(choice.candidates.len(), candidates.len());
        if let Some(agent) = &choice.agent {
            let able = candidates.iter().filter(|candidate| candidate.key == *agent).any(|candidate| {
                let needed = task.needs.iter().any(|(need, _)| candidate.capabilities.contains(need));
                candidate.state != State::Inactive && (needed || candidate.capabilities.is_empty())
            });
            prop_assert!(able, "{agent} of {candidates:?}");
        }
        for considered in &choice.candidates {
            prop_assert!((0.0..=1.0).contains(&considered.score));
        }
    }
}
