//! Where data may go: the tags that a platform must have for what an agent, a template or a department sends.
//!
//! Invariant: what demands a tag is sent to no platform without it, whoever stands in for whom; there is no order and no fallback
//! that it gives way to.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Key, Run};

/// The tags that are demanded; all that apply together. By default none is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Residency {
    /// Of everything.
    pub everywhere: BTreeSet<String>,
    /// Of what these agents send.
    pub agents: BTreeMap<Key, BTreeSet<String>>,
    /// Of what these templates ask for.
    pub templates: BTreeMap<Key, BTreeSet<String>>,
    /// Of what runs of these departments' workflows send.
    pub departments: BTreeMap<String, BTreeSet<String>>,
}

impl Residency {
    /// What whatever this agent sends demands, sorted; tasks may demand more.
    pub(crate) fn of_agent(&self, agent: &Key) -> Vec<String> {
        let all: BTreeSet<&String> =
            self.everywhere.iter().chain(self.agents.get(agent).into_iter().flatten()).collect();
        all.into_iter().cloned().collect()
    }

    /// What a task demands, sorted.
    pub(crate) fn of(&self, run: &Run, agent: &Key, template: &Key) -> Vec<String> {
        let department = run.definition().and_then(|definition| self.departments.get(&definition.department));
        let sets = [Some(&self.everywhere), self.agents.get(agent), self.templates.get(template), department];
        let all: BTreeSet<&String> = sets.into_iter().flatten().flatten().collect();
        all.into_iter().cloned().collect()
    }
}
