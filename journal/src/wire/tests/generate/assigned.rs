use domain::Capability;
use domain::task::{AgentChoice, AgentExclusion, AgentFactors, AgentReason, ConsideredAgent, Share};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{key, text};

fn share() -> impl Strategy<Value = Share> {
    (0..=Share::WHOLE).prop_map(Share::of_millionths)
}

fn considered() -> impl Strategy<Value = ConsideredAgent> {
    let factors =
        (share(), share(), share(), share(), share()).prop_map(|(capability, quality, availability, cost, speed)| {
            AgentFactors { capability, quality, availability, cost, speed }
        });
    let excluded = option::of(select(AgentExclusion::ALL.as_slice()));
    (key(), share(), factors, any::<u32>(), any::<u32>(), excluded).prop_map(
        |(agent, score, factors, running, experience_milli, excluded)| ConsideredAgent {
            agent,
            score,
            factors,
            running,
            experience_milli,
            excluded,
        },
    )
}

pub(super) fn choice() -> impl Strategy<Value = AgentChoice> {
    let reason = prop_oneof![
        Just(AgentReason::Best),
        any::<u32>().prop_map(|equals| AgentReason::AmongEquals { equals }),
        share().prop_map(|best| AgentReason::BelowMinimum { best }),
        Just(AgentReason::NoSpecialist),
        Just(AgentReason::AnybodyWill),
    ];
    let needs = (option::of(select(Capability::ALL.as_slice())), option::of(text()));
    (reason, needs, share(), vec(considered(), 0..4)).prop_map(
        |(reason, (capability, language), minimum, considered)| AgentChoice {
            reason,
            capability,
            language,
            minimum,
            considered,
        },
    )
}
