use std::time::Duration;

use cqrs_es::test::TestFramework;
use domain::agent::Profile;
use domain::{Agent, AgentCommand, AgentEvent, AgentRefusal, NanoUsd, Refusal};

use super::drive::Driven;
use super::fixtures::profile;

fn given(events: Vec<AgentEvent>) -> cqrs_es::test::AggregateTestExecutor<Agent> {
    TestFramework::with(()).given(events)
}

fn register(profile: Profile) -> AgentCommand {
    AgentCommand::Register { profile: Box::new(profile) }
}

fn registered() -> AgentEvent {
    AgentEvent::Registered { profile: Box::new(profile()) }
}

fn revised(version: u32) -> AgentEvent {
    AgentEvent::Revised { version, profile: Box::new(renamed()) }
}

fn renamed() -> Profile {
    Profile { name: "Author".into(), ..profile() }
}

fn disable() -> AgentCommand {
    AgentCommand::Disable { reason: "holiday".to_owned() }
}

fn disabled() -> AgentEvent {
    AgentEvent::Disabled { reason: "holiday".to_owned() }
}

#[test]
fn registering_makes_or_revises() {
    given(vec![]).when(register(profile())).then_expect_events(vec![registered()]);
    given(vec![registered()]).when(register(profile())).then_expect_events(vec![]);
    given(vec![registered()]).when(register(renamed())).then_expect_events(vec![revised(2)]);
    given(vec![registered(), revised(2)])
        .when(register(profile()))
        .then_expect_events(vec![AgentEvent::Revised { version: 3, profile: Box::new(profile()) }]);
}

#[test]
fn enabling_and_disabling_are_wishes_that_may_be_true_already() {
    given(vec![registered()]).when(disable()).then_expect_events(vec![disabled()]);
    given(vec![registered(), disabled()]).when(disable()).then_expect_events(vec![]);
    given(vec![registered(), disabled()]).when(AgentCommand::Enable).then_expect_events(vec![AgentEvent::Enabled]);
    given(vec![registered()]).when(AgentCommand::Enable).then_expect_events(vec![]);
    for command in [AgentCommand::Enable, disable()] {
        given(vec![]).when(command).then_expect_error(AgentRefusal::NotFound);
    }
}

#[test]
fn revising_does_not_enable() {
    let mut agent = Driven::<Agent>::new();
    assert!(!agent.state.enabled());
    agent.ask(register(profile())).unwrap();
    assert!(agent.state.enabled());
    agent.ask(disable()).unwrap();
    agent.ask(register(renamed())).unwrap();
    assert!(!agent.state.enabled());
    assert_eq!(agent.state.version(), 2);
    assert_eq!(agent.state.profile_at(1).unwrap().name.en, "Writer");
    assert_eq!(agent.state.profile_at(2), agent.state.profile());
    assert!(agent.state.profile_at(0).is_none() && agent.state.profile_at(3).is_none());
}

#[test]
fn every_range_is_checked_at_both_ends() {
    type Change = fn(&mut Profile);
    let good: [Change; 12] = [
        |profile| profile.temperature_milli = Some(0),
        |profile| profile.temperature_milli = Some(2000),
        |profile| profile.top_p_milli = Some(1),
        |profile| profile.top_p_milli = Some(1000),
        |profile| profile.frequency_penalty_milli = Some(-2000),
        |profile| profile.frequency_penalty_milli = Some(2000),
        |profile| profile.presence_penalty_milli = Some(-2000),
        |profile| profile.presence_penalty_milli = Some(2000),
        |profile| profile.max_tokens = Some(1),
        |profile| profile.context_window = 1,
        |profile| profile.timeout = Duration::from_micros(1),
        |profile| profile.timeout = Duration::from_secs(86_400),
    ];
    for change in good {
        let mut profile = profile();
        change(&mut profile);
        assert!(given(vec![]).when(register(profile)).inspect_result().is_ok());
    }
    let bad: [(Change, &str); 16] = [
        (|profile| profile.name = " ".into(), "name"),
        (|profile| profile.system_prompt = String::new(), "system_prompt"),
        (|profile| profile.temperature_milli = Some(2001), "temperature"),
        (|profile| profile.top_p_milli = Some(0), "top_p"),
        (|profile| profile.top_p_milli = Some(1001), "top_p"),
        (|profile| profile.frequency_penalty_milli = Some(-2001), "frequency_penalty"),
        (|profile| profile.frequency_penalty_milli = Some(2001), "frequency_penalty"),
        (|profile| profile.presence_penalty_milli = Some(-2001), "presence_penalty"),
        (|profile| profile.presence_penalty_milli = Some(2001), "presence_penalty"),
        (|profile| profile.constraints = vec!["".into()], "constraints"),
        (|profile| profile.cost_limit = Some(NanoUsd(0)), "cost_limit_usd"),
        (|profile| profile.max_tokens = Some(0), "max_tokens"),
        (|profile| profile.context_window = 0, "context_window"),
        (|profile| profile.timeout = Duration::ZERO, "timeout"),
        (|profile| profile.timeout = Duration::from_secs(86_401), "timeout"),
        (|profile| profile.timeout = Duration::from_millis(86_400_001), "timeout"),
    ];
    for (change, field) in bad {
        let mut profile = profile();
        change(&mut profile);
        match given(vec![]).when(register(profile)).inspect_result() {
            Err(AgentRefusal::InvalidProfile { what }) => assert!(what.starts_with(field), "{what}"),
            other => panic!("{field}: {other:?}"),
        }
    }
}

#[test]
fn codes_are_stable() {
    assert_eq!(AgentRefusal::InvalidProfile { what: "" }.code(), "AGENT_INVALID");
    assert_eq!(AgentRefusal::NotFound.code(), "AGENT_NOT_FOUND");
}

#[test]
fn constraints_stand_below_the_prompt() {
    assert_eq!(profile().system_text(), "You write.");
    let bound = Profile { constraints: vec!["Never lies.".into(), "Never shouts.".into()], ..profile() };
    assert_eq!(
        bound.system_text(),
        "You write.\n\nRules that you keep to whatever you are asked:\n- Never lies.\n- Never shouts."
    );
}
