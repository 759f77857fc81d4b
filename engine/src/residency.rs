//! Where data may go: the tags that a platform must have for what an agent, a template or a department sends.
//!
//! Demands come from two sides and add up: the installation's configuration, which nobody who writes an agent can take off, and
//! what agents and templates say of themselves. The latter is part of the versions that a task records when it is made, so
//! it holds for all attempts of the task, on every node and after every restart, whatever becomes of the catalogue meanwhile.
//!
//! Invariant: what demands a tag is sent to no platform without it, whoever stands in for whom; there is no order and no fallback
//! that it gives way to.

use std::collections::{BTreeMap, BTreeSet};

use domain::agent::Profile;
use domain::template::TemplateBody;
use domain::{Key, PlatformTag};

/// The tags that the installation demands; all that apply together. By default none is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Residency {
    /// Of everything.
    pub everywhere: BTreeSet<PlatformTag>,
    /// Of what these agents send.
    pub agents: BTreeMap<Key, BTreeSet<PlatformTag>>,
    /// Of what these templates ask for.
    pub templates: BTreeMap<Key, BTreeSet<PlatformTag>>,
    /// Of what runs of these departments' workflows send.
    pub departments: BTreeMap<String, BTreeSet<PlatformTag>>,
}

impl Residency {
    /// What is demanded of whoever is sent what an agent makes of a template for a department; what is not known yet demands
    /// nothing.
    #[must_use]
    pub fn demands(
        &self,
        agent: Option<&Profile>,
        template: Option<&TemplateBody>,
        department: Option<&str>,
    ) -> BTreeSet<PlatformTag> {
        let sets = [
            Some(&self.everywhere),
            agent.and_then(|agent| self.agents.get(&agent.key)),
            agent.map(|agent| &agent.residency),
            template.and_then(|template| self.templates.get(&template.key)),
            template.map(|template| &template.residency),
            department.and_then(|department| self.departments.get(department)),
        ];
        sets.into_iter().flatten().flatten().cloned().collect()
    }
}
