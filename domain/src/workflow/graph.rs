//! Who comes before whom among the steps of a definition.

use std::collections::BTreeMap;

use crate::{Step, StepName};

/// The steps as numbers, so that even the densest graph that is allowed is checked in a moment.
pub(super) struct Graph<'a> {
    names: Vec<&'a StepName>,
    needs: Vec<Vec<usize>>,
}

impl<'a> Graph<'a> {
    pub(super) fn new(by_name: &BTreeMap<&'a StepName, &'a Step>) -> Self {
        let names: Vec<&StepName> = by_name.keys().copied().collect();
        let needs = by_name.values().map(|step| step.needs.iter().filter_map(|need| names.binary_search(&need).ok()));
        let needs = needs.map(Iterator::collect).collect();
        Self { names, needs }
    }

    /// Every step after those that it needs, or a circle. Depth-first search with an explicit stack, so that a long
    /// chain cannot exhaust the thread's.
    pub(super) fn order(&self) -> Result<Vec<usize>, Vec<StepName>> {
        let mut seen = vec![false; self.names.len()];
        let mut order = Vec::with_capacity(self.names.len());
        let mut done = vec![false; self.names.len()];
        for start in 0..self.names.len() {
            let mut trail = if mark(&mut seen, start) { vec![(start, 0)] } else { vec![] };
            while let Some((step, next)) = trail.last_mut() {
                let Some(need) = self.needs.get(*step).and_then(|needs| needs.get(*next)).copied() else {
                    mark(&mut done, *step);
                    order.push(*step);
                    trail.pop();
                    continue;
                };
                *next += 1;
                if mark(&mut seen, need) {
                    trail.push((need, 0));
                } else if done.get(need) == Some(&false) {
                    let circle = trail.iter().map(|(step, _)| *step).skip_while(|step| *step != need).chain([need]);
                    return Err(circle.filter_map(|step| Some((*self.names.get(step)?).clone())).collect());
                }
            }
        }
        Ok(order)
    }

    /// For every step, all that come before it.
    pub(super) fn ancestors(&self, order: &[usize]) -> Ancestors<'a> {
        let words = self.names.len().div_ceil(64);
        let mut rows = vec![Vec::new(); self.names.len()];
        for step in order {
            let mut row = vec![0_u64; words];
            for need in self.needs.get(*step).into_iter().flatten() {
                let before = rows.get(*need).into_iter().flatten();
                row.iter_mut().zip(before).for_each(|(word, before)| *word |= before);
                if let Some(word) = row.get_mut(need / 64) {
                    *word |= 1 << (need % 64);
                }
            }
            if let Some(slot) = rows.get_mut(*step) {
                *slot = row;
            }
        }
        Ancestors { names: self.names.clone(), rows }
    }
}

/// Sets a flag; whether it was clear before.
fn mark(flags: &mut [bool], place: usize) -> bool {
    flags.get_mut(place).is_some_and(|flag| !std::mem::replace(flag, true))
}

/// Who comes before whom: a row of bits for every step.
pub(super) struct Ancestors<'a> {
    names: Vec<&'a StepName>,
    rows: Vec<Vec<u64>>,
}

impl Ancestors<'_> {
    pub(super) fn has(&self, step: &StepName, ancestor: &StepName) -> bool {
        let (Ok(step), Ok(ancestor)) = (self.names.binary_search(&step), self.names.binary_search(&ancestor)) else {
            return false;
        };
        let word = self.rows.get(step).and_then(|row| row.get(ancestor / 64));
        word.is_some_and(|word| word >> (ancestor % 64) & 1 == 1)
    }
}
