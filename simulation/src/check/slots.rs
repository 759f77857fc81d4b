//! What may happen to slots and limits.

use std::collections::{BTreeMap, BTreeSet};

use domain::limit::LimitSettings;
use domain::slots::{Capacity, Holder};
use domain::{Key, LimitEvent, SlotsEvent, SlotsId, Timestamp};

use super::{Checker, Seen};

/// How much each limit has ever allowed. Nodes learn of a change one after the other, so what is given is held against
/// the most that was ever allowed.
#[derive(Debug, Default)]
pub(super) struct Limits(BTreeMap<Key, Option<Capacity>>);

impl Limits {
    pub(super) fn take(&mut self, event: &LimitEvent) {
        match event {
            LimitEvent::Set { settings } => {
                let LimitSettings { key, capacity, .. } = &**settings;
                let most = self.0.entry(key.clone()).or_insert(Some(*capacity));
                if let Some(most) = most {
                    most.max_running = most.max_running.zip(capacity.max_running).map(|(old, new)| old.max(new));
                    // A changed rate is not held against anything.
                    most.rate = most.rate.filter(|rate| Some(*rate) == capacity.rate);
                }
            }
            // From now on it allows everything.
            LimitEvent::Removed { .. } => self.0.values_mut().for_each(|most| *most = None),
        }
    }

    fn most(&self, key: &Key) -> Capacity {
        self.0.get(key).copied().flatten().unwrap_or_default()
    }
}

#[derive(Debug, Default)]
pub(super) struct SlotsView {
    limit: Option<Key>,
    holders: Vec<Holder>,
    waiting: Vec<Holder>,
    grants: Vec<Timestamp>,
    served: BTreeSet<Holder>,
}

impl SlotsView {
    pub(super) fn everybody(&self) -> impl Iterator<Item = Holder> {
        self.holders.iter().chain(&self.waiting).copied()
    }

    /// Whether somebody has a slot.
    pub(super) fn holds(&self, holder: Holder) -> bool {
        self.holders.contains(&holder)
    }

    /// Whether somebody has ever had a slot.
    pub(super) fn served(&self, holder: Holder) -> bool {
        self.served.contains(&holder)
    }

    fn apply(&mut self, event: &SlotsEvent, limits: &Limits) -> Result<(), String> {
        match event {
            SlotsEvent::Requested { holder, limit, .. } => {
                self.limit = Some(limit.clone());
                if self.everybody().any(|known| known == *holder) {
                    return Err(format!("{holder} asks twice"));
                }
                self.waiting.push(*holder);
                Ok(())
            }
            SlotsEvent::Granted { holder, at } => {
                let Some(place) = self.waiting.iter().position(|known| known == holder) else {
                    return Err(format!("{holder} gets a slot and has not asked"));
                };
                self.waiting.remove(place);
                self.holders.push(*holder);
                self.grants.push(*at);
                self.served.insert(*holder);
                let most = self.limit.as_ref().map(|limit| limits.most(limit)).unwrap_or_default();
                if most
                    .max_running
                    .is_some_and(|most| usize::try_from(most).is_ok_and(|most| self.holders.len() > most))
                {
                    return Err(format!("{} hold a slot, but {most:?} is allowed", self.holders.len()));
                }
                self.check_rate(most, *at)
            }
            SlotsEvent::Released { holder } => {
                let before = self.holders.len() + self.waiting.len();
                self.holders.retain(|known| known != holder);
                self.waiting.retain(|known| known != holder);
                let gone = before - self.holders.len() - self.waiting.len();
                if gone == 1 { Ok(()) } else { Err(format!("{holder} gives back {gone} slots")) }
            }
        }
    }

    fn check_rate(&self, most: Capacity, at: Timestamp) -> Result<(), String> {
        let Some(rate) = most.rate else { return Ok(()) };
        let recent = self.grants.iter().filter(|grant| at.since(**grant) < rate.per && **grant <= at).count();
        if u32::try_from(recent).is_ok_and(|recent| recent > rate.starts) {
            return Err(format!("{recent} starts within {:?}, but {} are allowed", rate.per, rate.starts));
        }
        Ok(())
    }
}

impl Checker {
    pub(super) fn take_slots(&mut self, id: SlotsId, seen: &Seen<'_>, event: &SlotsEvent) {
        let slots = self.slots.entry(id).or_default();
        if let Err(wrong) = slots.apply(event, &self.limits) {
            self.blame(format!("slots {id} at {}: {wrong}", seen.recorded.position));
        }
    }
}
