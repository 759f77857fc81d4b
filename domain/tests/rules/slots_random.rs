//! Slots under arbitrary requests, releases, polls and changes of the limit.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::slots::{Capacity, Holder, Rate};
use domain::{Slots, SlotsCommand, SlotsEvent, Timestamp};
use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;

use super::drive::Driven;
use super::fixtures::at;
use super::slots::{at_once, holder, release, request};

#[derive(Debug, Clone)]
enum Move {
    Request {
        who: u128,
        priority: i32,
        fairness: &'static str,
    },
    Release(u128),
    Poll,
    Change(Capacity),
    /// Clocks of nodes differ, so time may go back a little.
    Pass(i64),
}

fn capacity() -> impl Strategy<Value = Capacity> {
    let rate = (1_u32..5, 1_u64..20).prop_map(|(starts, per)| Rate { starts, per: Duration::from_secs(per) });
    (weighted(0.8, 1_u32..5), weighted(0.4, rate)).prop_map(|(max_running, rate)| Capacity { max_running, rate })
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let who = || 0_u128..12;
    let fairness = proptest::sample::select(["", "x", "y"].as_slice());
    let one = prop_oneof![
        8 => (who(), -3_i32..4, fairness).prop_map(|(who, priority, fairness)| Move::Request { who, priority, fairness }),
        6 => who().prop_map(Move::Release),
        3 => Just(Move::Poll),
        1 => capacity().prop_map(Move::Change),
        6 => (-3_i64..40).prop_map(Move::Pass),
    ];
    vec(one, 0..120)
}

/// Who has a slot and who waits, told from the events alone.
#[derive(Default)]
struct Model {
    has: Vec<Holder>,
    waits: Vec<Holder>,
    grants: Vec<Timestamp>,
}

impl Model {
    fn take(&mut self, event: &SlotsEvent, capacity: Capacity) {
        match event {
            SlotsEvent::Requested { holder, .. } => {
                assert!(!self.has.contains(holder) && !self.waits.contains(holder), "{holder} asks twice");
                self.waits.push(*holder);
            }
            SlotsEvent::Granted { holder, at } => {
                assert!(self.waits.contains(holder), "{holder} does not wait");
                self.waits.retain(|known| known != holder);
                self.has.push(*holder);
                assert!(capacity.max_running.is_none_or(|max| self.has.len() <= max as usize), "too many run");
                self.grants.push(*at);
                if let Some(rate) = capacity.rate {
                    let within = |known: &&Timestamp| known.plus(rate.per) > *at && **known <= *at;
                    let count = self.grants.iter().filter(within).count();
                    assert!(count <= rate.starts as usize, "{count} starts in one window of {rate:?}");
                }
            }
            SlotsEvent::Released { holder } => {
                let before = self.has.len() + self.waits.len();
                self.has.retain(|known| known != holder);
                self.waits.retain(|known| known != holder);
                assert_eq!(self.has.len() + self.waits.len() + 1, before, "{holder} had and awaited nothing");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn slots_are_conserved(first in capacity(), moves in moves()) {
        let mut slots = Driven::<Slots>::new();
        let mut model = Model::default();
        let (mut capacity, mut now) = (first, at(1000));
        for chosen in moves {
            let command = match chosen {
                Move::Request { who, priority, fairness } => request(who, priority, fairness, capacity, now),
                Move::Release(who) => release(who, capacity, now),
                Move::Poll => SlotsCommand::Poll { capacity, now },
                Move::Change(other) => {
                    capacity = other;
                    continue;
                }
                Move::Pass(by) => {
                    now = Timestamp::from_micros(now.as_micros() + by * 1_000_000);
                    continue;
                }
            };
            let polled = !matches!(&command, SlotsCommand::Request { holder, .. } if slots.state.has(*holder))
                && !matches!(&command, SlotsCommand::Release { holder, .. }
                    if !slots.state.has(*holder) && !slots.state.awaits(*holder));
            for event in slots.ask(command).unwrap() {
                model.take(&event, capacity);
            }
            let has: Vec<Holder> = slots.state.holders().collect();
            prop_assert_eq!(&has, &model.has);
            let waits: Vec<Holder> = slots.state.waiting().iter().map(|waiting| waiting.holder).collect();
            prop_assert_eq!(&waits, &model.waits);
            // Nobody waits for a slot that is free.
            let room = capacity.max_running.is_none_or(|max| has.len() < max as usize);
            let last = model.grants.last().map_or(now, |last| now.max(*last));
            let free = room && slots.state.next_start(capacity, last).is_none();
            prop_assert!(!polled || !free || waits.is_empty(), "a slot is free, and {} wait", waits.len());
        }
        prop_assert_eq!(&slots.state, &slots.folded(usize::MAX));
    }

    /// However many more important ones come, whoever waits has a slot after a bounded number of grants to others.
    #[test]
    fn nobody_waits_for_ever(
        max in 1_u32..4, crowd in vec((-5_i32..=5, 0_usize..3), 1..20), low in -20_i32..0, every in 1_u64..60,
    ) {
        let values = ["", "x", "y"];
        let capacity = at_once(max);
        let mut slots = Driven::<Slots>::new();
        for (who, (priority, value)) in (100..).zip(&crowd) {
            slots.ask(request(who, *priority, values[*value], capacity, at(0))).unwrap();
        }
        slots.ask(request(1, low, "z", capacity, at(0))).unwrap();
        let (mut others, mut clock, mut fresh) = (0_u64, 0, 1000);
        while !slots.state.has(holder(1)) {
            clock += every;
            // A more important one comes whenever a slot is given back, and slots are given back in turn.
            slots.ask(request(fresh, 5, values[usize::try_from(fresh % 3).unwrap()], capacity, at(clock))).unwrap();
            fresh += 1;
            let oldest = slots.state.holders().next().unwrap();
            let back = SlotsCommand::Release { holder: oldest, capacity, now: at(clock) };
            let granted = slots.ask(back).unwrap();
            others += granted.iter().filter(|event| matches!(event, SlotsEvent::Granted { .. })).count() as u64;
            // At most 25 steps of priority lie between, a minute each. Of those who came before that time is over, each
            // of three values is served in turn.
            let bound = 3 * (26 * 60 / every + crowd.len() as u64 + 2);
            prop_assert!(others <= bound, "{others} went before, {bound} are allowed");
        }
    }

    /// Of two values that always have somebody waiting, each has half of the slots.
    #[test]
    fn two_values_share_equally(max in 1_u32..12, first in 1_usize..20, releases in vec(any::<proptest::sample::Index>(), 0..80)) {
        let mut slots = Driven::<Slots>::new();
        let mut values: BTreeMap<Holder, &str> = BTreeMap::new();
        // `x` comes with a crowd and `y` later, while nothing is free.
        let mut fresh = 0;
        let mut ask = |slots: &mut Driven<Slots>, value: &'static str, capacity| {
            fresh += 1;
            values.insert(holder(fresh), value);
            slots.ask(request(fresh, 0, value, capacity, at(1))).unwrap();
            values.clone()
        };
        ask(&mut slots, "x", at_once(1));
        for value in ["x", "y"] {
            for _ in 0..first + 20 {
                ask(&mut slots, value, at_once(1));
            }
        }
        let capacity = at_once(max);
        slots.ask(SlotsCommand::Poll { capacity, now: at(2) }).unwrap();
        for (second, which) in (3..).zip(&releases) {
            let running: Vec<Holder> = slots.state.holders().collect();
            let back = SlotsCommand::Release { holder: *which.get(&running), capacity, now: at(second) };
            slots.ask(back).unwrap();
            ask(&mut slots, "x", capacity);
            let values = ask(&mut slots, "y", capacity);
            let count = |value| slots.state.holders().filter(|holder| values[holder] == value).count();
            prop_assert_eq!(count("x") + count("y"), max as usize, "saturated");
            prop_assert!(count("x").abs_diff(count("y")) <= 1, "{} and {}", count("x"), count("y"));
        }
    }
}
