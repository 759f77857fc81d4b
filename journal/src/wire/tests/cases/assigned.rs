use domain::Capability;
use domain::task::{AgentChoice, AgentExclusion, AgentFactors, AgentReason, ConsideredAgent, Share};

pub(super) fn choice() -> AgentChoice {
    let share = Share::of_millionths;
    AgentChoice {
        reason: AgentReason::AmongEquals { equals: 2 },
        capability: Some(Capability::CodeReview),
        language: Some("ar".to_owned()),
        minimum: share(600_000),
        considered: vec![ConsideredAgent {
            agent: "lawyer".parse().unwrap(),
            score: share(812_500),
            factors: AgentFactors {
                capability: share(1_000_000),
                quality: share(720_000),
                availability: share(300_000),
                cost: share(0),
                speed: share(1),
            },
            running: 3,
            experience_milli: 12_500,
            excluded: Some(AgentExclusion::Language),
        }],
    }
}
