//! Where a request goes when calls fail.

use std::time::Duration;

use proptest::prelude::*;
use providers::router::{Exhausted, Fallbacks, Needs, Policy, Route, SkipReason, Step, Target};
use providers::{Capabilities, Failure, FailureKind};

fn target(name: &str) -> Target {
    Target { platform: name.into(), model: None, capabilities: Capabilities::default(), tags: vec!["eu".into()] }
}

fn holding(name: &str, tokens: u32) -> Target {
    Target { capabilities: Capabilities { max_input: Some(tokens), ..Capabilities::default() }, ..target(name) }
}

fn fails(kind: FailureKind) -> Failure {
    Failure::new(kind, format!("{} happened", kind.name()))
}

fn nobody_rests(_: &Target) -> Option<Duration> {
    None
}

fn called(step: &Step) -> (&str, u32, Duration) {
    match step {
        Step::Call { target, attempt, after } => (&target.platform, *attempt, *after),
        Step::GiveUp(exhausted) => panic!("gave up: {exhausted}"),
    }
}

fn gave_up(step: Step) -> Exhausted {
    match step {
        Step::GiveUp(exhausted) => exhausted,
        Step::Call { target, .. } => panic!("calls {target}"),
    }
}

fn route(fallbacks: Fallbacks) -> Route {
    Route::new(holding("first", 1000), fallbacks, Policy::default(), Needs::default())
}

#[test]
fn what_may_pass_is_repeated_with_growing_pauses_and_then_taken_elsewhere() {
    let general = vec![target("second"), target("third")];
    let mut route = route(Fallbacks { general, ..Fallbacks::default() });
    let failure = || fails(FailureKind::PlatformFailure);
    assert_eq!(called(&route.begin(nobody_rests)), ("first", 1, Duration::ZERO));
    assert_eq!(called(&route.failed(failure(), false, 0, nobody_rests)), ("first", 2, Duration::from_millis(500)));
    // Chance shortens a pause by at most a half.
    assert_eq!(called(&route.failed(failure(), false, 1000, nobody_rests)), ("first", 3, Duration::from_millis(500)));
    assert_eq!(called(&route.failed(failure(), false, 0, nobody_rests)), ("second", 4, Duration::ZERO));
    let unauthorized = fails(FailureKind::Unauthorized);
    assert_eq!(called(&route.failed(unauthorized, false, 0, nobody_rests)), ("third", 5, Duration::ZERO));
    let exhausted = gave_up(route.failed(fails(FailureKind::InvalidRequest), false, 0, nobody_rests));
    assert_eq!(exhausted.original().unwrap().kind, FailureKind::PlatformFailure, "the original failure is reported");
    let text = exhausted.to_string();
    assert!(text.starts_with("platform_failure happened; attempt 1 at first: platform_failure"), "{text}");
    assert!(text.contains("attempt 4 at second: unauthorized") && text.contains("attempt 5 at third"), "{text}");
}

#[test]
fn nothing_is_repeated_once_the_caller_has_seen_a_part() {
    let mut route = route(Fallbacks { general: vec![target("second")], ..Fallbacks::default() });
    let _ = route.begin(nobody_rests);
    let exhausted = gave_up(route.failed(fails(FailureKind::MalformedReply), true, 0, nobody_rests));
    assert_eq!(exhausted.tried.len(), 1);
}

#[test]
fn each_kind_has_its_own_way() {
    let lists = || Fallbacks {
        general: vec![holding("small", 500), target("general")],
        context_too_long: vec![holding("same", 1000), holding("large", 200_000)],
        content_refused: vec![target("tolerant")],
        rate_limited: vec![target("roomy")],
    };
    let after = |kind, lists: Fallbacks| {
        let mut route = route(lists);
        let _ = route.begin(nobody_rests);
        route.failed(fails(kind), false, 0, nobody_rests)
    };
    assert_eq!(called(&after(FailureKind::ContextTooLong, lists())).0, "large", "the same size would not do");
    assert_eq!(called(&after(FailureKind::ContentRefused, lists())).0, "tolerant");
    assert_eq!(called(&after(FailureKind::Unauthorized, lists())).0, "small");
    assert_eq!(gave_up(after(FailureKind::InvalidRequest, lists())).tried.len(), 1);
    let only_general = || Fallbacks { general: lists().general, ..Fallbacks::default() };
    assert_eq!(called(&after(FailureKind::ContextTooLong, only_general())).0, "general");
    assert_eq!(
        gave_up(after(FailureKind::ContentRefused, only_general())).tried.len(),
        1,
        "only where somebody said so"
    );
}

#[test]
fn a_pause_that_the_platform_asks_for_is_kept_or_avoided() {
    let mut first = route(Fallbacks { rate_limited: vec![target("roomy")], ..Fallbacks::default() });
    let _ = first.begin(nobody_rests);
    let asks = |seconds| fails(FailureKind::RateLimited).after(Some(Duration::from_secs(seconds)));
    assert_eq!(called(&first.failed(asks(7), false, 500, nobody_rests)), ("first", 2, Duration::from_secs(7)));
    assert_eq!(called(&first.failed(asks(600), false, 500, nobody_rests)), ("roomy", 3, Duration::ZERO));
}

#[test]
fn who_cannot_or_rests_is_passed_over_and_named() {
    let general = vec![Target { tags: Vec::new(), ..target("abroad") }, target("tired"), target("able")];
    let fallbacks = Fallbacks { general, ..Fallbacks::default() };
    let needs = Needs { tags: vec!["eu".into()], ..Needs::default() };
    let mut route = Route::new(target("first"), fallbacks, Policy::default(), needs);
    let rest = Duration::from_secs(9);
    let resting = |target: &Target| (target.platform == "tired" || target.platform == "first").then_some(rest);
    assert_eq!(called(&route.begin(resting)), ("able", 1, Duration::ZERO));
    let exhausted = gave_up(route.failed(fails(FailureKind::Unauthorized), false, 0, resting));
    let skipped: Vec<_> = exhausted.skipped.iter().map(|skipped| skipped.target.platform.as_str()).collect();
    assert_eq!(skipped, ["first", "abroad", "tired"]);
    assert_eq!(exhausted.skipped[0].why, SkipReason::Resting(rest));
    assert!(exhausted.to_string().contains("abroad was not asked: it is not tagged `eu`"), "{exhausted}");

    let mut route = Route::new(target("first"), Fallbacks::default(), Policy::default(), Needs::default());
    let exhausted = gave_up(route.begin(resting));
    assert!(exhausted.original().is_none() && exhausted.to_string().starts_with("no platform could be asked"));
}

proptest! {
    /// Every route ends within its attempts, asks nobody again after having left them, and numbers its attempts.
    #[test]
    fn every_route_ends(kinds in prop::collection::vec(0_usize..9, 12), chances in prop::collection::vec(any::<u16>(), 12)) {
        let general = vec![target("b"), holding("c", 2000)];
        let fallbacks = Fallbacks {
            context_too_long: vec![holding("large", 9000)],
            content_refused: vec![target("b"), target("tolerant")],
            rate_limited: vec![target("roomy")],
            general,
        };
        let policy = Policy::default();
        let mut route = Route::new(holding("a", 1000), fallbacks, policy, Needs::default());
        let mut step = route.begin(nobody_rests);
        let mut seen: Vec<String> = Vec::new();
        for (number, (kind, chance)) in (1..).zip(kinds.into_iter().zip(chances)) {
            let Step::Call { target, attempt, after } = &step else { break };
            prop_assert_eq!(*attempt, number);
            prop_assert!(*attempt <= policy.attempts && *after <= policy.longest_pause);
            if seen.last() != Some(&target.platform) {
                prop_assert!(!seen.contains(&target.platform), "{} again", target);
                seen.push(target.platform.clone());
            }
            step = route.failed(fails(FailureKind::ALL[kind]), false, chance, nobody_rests);
        }
        let exhausted = gave_up(step);
        prop_assert!(exhausted.original().is_some());
    }
}
