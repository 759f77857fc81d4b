//! Whom a request is taken to after calls have failed.

use std::time::Duration;

use proptest::prelude::*;
use providers::router::{Needs, Rest, Route, SkipReason, Skipped, Step, Target, Tried, Why};
use providers::{Capabilities, FailureKind};

fn target(name: &str) -> Target {
    Target {
        platform: name.into(),
        model: None,
        capabilities: Capabilities::default(),
        tags: vec!["eu".into()],
        unusable: None,
    }
}

fn holding(name: &str, tokens: u32) -> Target {
    Target { capabilities: Capabilities { max_input: Some(tokens), ..Capabilities::default() }, ..target(name) }
}

fn failed(platform: &str, kind: FailureKind) -> Tried {
    Tried { platform: platform.into(), failure: Some(kind), counts: true }
}

fn nobody_rests(_: &Target) -> Option<Rest> {
    None
}

fn route(targets: &[&str]) -> Route {
    Route::new(targets.iter().map(|name| target(name)).collect(), Needs::default(), 3, false)
}

fn called<'a>(step: &'a Step<'_>) -> (&'a str, &'a Why) {
    match step {
        Step::Call { target, why, .. } => (&target.platform, why),
        other => panic!("nobody is called: {other:?}"),
    }
}

fn names(skipped: &[Skipped]) -> Vec<&str> {
    skipped.iter().map(|skipped| &*skipped.platform).collect()
}

fn fallback(from: &str, kind: FailureKind) -> Why {
    Why::Fallback { from: from.into(), kind }
}

#[test]
fn a_round_asks_everybody_once_and_the_next_begins_at_the_first() {
    use FailureKind::{PlatformFailure, Timeout, Unauthorized};
    let route = route(&["a", "b", "c"]);
    let mut tried = Vec::new();
    assert_eq!(called(&route.next(&tried, nobody_rests)), ("a", &Why::First));
    tried.push(failed("a", PlatformFailure));
    assert_eq!(called(&route.next(&tried, nobody_rests)), ("b", &fallback("a", PlatformFailure)));
    assert_eq!(route.fallback(&tried, nobody_rests).unwrap().platform, "b");
    tried.push(failed("b", Unauthorized));
    assert_eq!(called(&route.next(&tried, nobody_rests)), ("c", &fallback("b", Unauthorized)));
    tried.push(failed("c", Timeout));
    assert_eq!(route.fallback(&tried, nobody_rests), None, "the round is over");
    assert_eq!(called(&route.next(&tried, nobody_rests)), ("a", &Why::Again));
    tried.push(failed("a", PlatformFailure));
    assert_eq!(called(&route.next(&tried, nobody_rests)).0, "c", "who refused the key is not asked again");
    tried.extend([failed("c", Timeout), failed("a", Timeout), failed("c", Timeout)]);
    assert_eq!(route.next(&tried, nobody_rests), Step::Nowhere { skipped: vec![] }, "each has had its three attempts");
}

#[test]
fn what_was_cut_short_here_is_asked_again_where_it_was() {
    let route = route(&["a", "b"]);
    let tried = [failed("a", FailureKind::Timeout), Tried { platform: "b".into(), failure: None, counts: false }];
    assert_eq!(called(&route.next(&tried, nobody_rests)), ("b", &Why::Again));
    let tired =
        |target: &Target| (target.platform == "b").then_some(Rest { pause: Duration::from_secs(3), barred: false });
    assert_eq!(called(&route.next(&tried, tired)), ("a", &Why::Again));
}

#[test]
fn each_kind_has_its_own_way() {
    let sizes = || vec![holding("a", 1000), holding("small", 500), holding("same", 1000), holding("large", 9000)];
    let route = Route::new(sizes(), Needs::default(), 3, false);
    let after = |kind| route.fallback(&[failed("a", kind)], nobody_rests).map(|target| &*target.platform);
    assert_eq!(after(FailureKind::ContextTooLong), Some("large"), "the same size would not do");
    assert_eq!(after(FailureKind::ContentRefused), None, "only where somebody said so");
    assert_eq!(after(FailureKind::InvalidRequest), None);
    for kind in FailureKind::ALL {
        use FailureKind::{ContentRefused, ContextTooLong, InvalidRequest};
        if !matches!(kind, ContentRefused | ContextTooLong | InvalidRequest) {
            assert_eq!(after(kind), Some("small"), "{kind:?}");
        }
    }
    let tolerant = Route::new(sizes(), Needs::default(), 3, true);
    let refused = [failed("a", FailureKind::ContentRefused)];
    assert_eq!(tolerant.fallback(&refused, nobody_rests).unwrap().platform, "small");
    // Whoever was found too small stays so in later rounds.
    let tried = [failed("large", FailureKind::Timeout), failed("a", FailureKind::ContextTooLong)];
    assert_eq!(called(&route.next(&tried, nobody_rests)).0, "large");
}

#[test]
fn who_cannot_or_rests_is_passed_over_and_named() {
    let unable = Target { unusable: Some("it has no key".into()), ..target("keyless") };
    let targets =
        vec![target("tired"), Target { tags: Vec::new(), ..target("abroad") }, unable, target("able"), target("last")];
    let needs = Needs { tags: vec!["eu".into()], ..Needs::default() };
    let route = Route::new(targets, needs, 3, false);
    let rest = Rest { pause: Duration::from_millis(9_100), barred: false };
    let resting = |target: &Target| (target.platform == "tired").then_some(rest);
    let Step::Call { target, why, skipped } = route.next(&[], resting) else { panic!("nobody is called") };
    assert_eq!((&*target.platform, why), ("able", Why::First));
    assert_eq!(names(&skipped), ["tired", "abroad", "keyless"]);
    assert_eq!(skipped[0].why, SkipReason::Resting(rest.pause));
    let why: Vec<String> = skipped.iter().map(|skipped| skipped.why.to_string()).collect();
    assert_eq!(why, ["it is resting after failures", "it is not tagged `eu`", "it has no key"]);
}

#[test]
fn when_everybody_rests_it_waits_for_the_first_but_not_for_who_is_barred() {
    let rest = |seconds, barred| Some(Rest { pause: Duration::from_secs(seconds), barred });
    let route = route(&["a", "b"]);
    let step = route.next(&[], |target| rest(if target.platform == "a" { 20 } else { 7 }, false));
    let Step::Rest { pause, skipped } = step else { panic!("{step:?}") };
    assert_eq!((pause, names(&skipped)), (Duration::from_secs(7), vec!["a", "b"]));
    let step = route.next(&[], |target| rest(20, target.platform == "a"));
    assert!(matches!(step, Step::Rest { .. }), "b may work again");
    let barred = |_: &Target| rest(300, true);
    let step = route.next(&[], barred);
    assert_eq!(called(&step), ("a", &Why::First), "its answer says what is wrong");
    assert!(matches!(&step, Step::Call { skipped, .. } if names(skipped) == ["b"]));
    let step = Route::new(vec![], Needs::default(), 3, false);
    assert_eq!(step.next(&[], barred), Step::Nowhere { skipped: vec![] });
}

proptest! {
    /// Within a round nobody is asked twice, nobody is asked again who said no for good, and whoever is called can be.
    #[test]
    fn rounds_are_fair(
        kinds in prop::collection::vec(prop::option::of(0_usize..9), 1..20),
        resting in prop::collection::vec(0_u8..8, 20),
        tolerant: bool,
    ) {
        let targets = vec![holding("a", 1000), target("b"), holding("c", 2000), target("d")];
        let route = Route::new(targets, Needs::default(), 3, tolerant);
        let mut tried: Vec<Tried> = Vec::new();
        for (kind, asleep) in kinds.into_iter().zip(resting) {
            let rests = |target: &Target| {
                let index = u32::from(target.platform.as_bytes()[0] - b'a');
                (asleep >> index & 1 == 1).then_some(Rest { pause: Duration::from_secs(1), barred: false })
            };
            let next = route.next(&tried, rests);
            let Step::Call { target, why, .. } = next else { continue };
            prop_assert!(rests(target).is_none());
            let permanent = |kind: Option<FailureKind>| matches!(kind, Some(
                FailureKind::Unauthorized | FailureKind::InvalidRequest
                | FailureKind::ContextTooLong | FailureKind::ContentRefused));
            prop_assert!(!tried.iter().any(|tried| tried.platform == target.platform && permanent(tried.failure)));
            match &why {
                Why::First => prop_assert!(!tried.iter().any(|tried| tried.platform == target.platform)),
                Why::Again => prop_assert!(tried.iter().any(|tried| tried.platform == target.platform)),
                Why::Fallback { from, .. } => {
                    prop_assert_eq!(&tried.last().unwrap().platform, from);
                    prop_assert_ne!(&target.platform, from);
                }
            }
            let failure = kind.map(|kind| FailureKind::ALL[kind]);
            tried.push(Tried { platform: target.platform.clone(), failure, counts: failure.is_some() });
            let count = tried.iter().filter(|one| one.counts && one.platform == target.platform).count();
            prop_assert!(count <= 3);
        }
    }
}
