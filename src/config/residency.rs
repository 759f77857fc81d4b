//! Where data may go: which tags platforms must have.

use std::collections::{BTreeMap, BTreeSet};

use domain::PlatformTag;
use serde::{Deserialize, Serialize};

/// The tags that are demanded; all that apply hold together.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Residency {
    /// Of every platform that anything is sent to.
    pub(crate) everywhere: BTreeSet<String>,
    /// For what these agents send, by key.
    pub(crate) agents: BTreeMap<String, BTreeSet<String>>,
    /// For what these templates ask for, by key.
    pub(crate) templates: BTreeMap<String, BTreeSet<String>>,
    /// For what the runs of these departments' workflows send.
    pub(crate) departments: BTreeMap<String, BTreeSet<String>>,
}

impl Residency {
    /// As the engine takes it.
    ///
    /// # Errors
    /// In words, when a key or a tag is none.
    pub(crate) fn compiled(&self) -> Result<engine::Residency, String> {
        let keyed = |place: &str, of: &BTreeMap<String, BTreeSet<String>>| {
            let one = |(key, tags): (&String, &BTreeSet<String>)| match key.parse() {
                Ok(key) => {
                    let tags = checked(&format!("{place}.{key}"), tags)?;
                    Ok((key, tags))
                }
                Err(error) => Err(format!("residency.{place}: `{key}`: {error}")),
            };
            of.iter().map(one).collect::<Result<_, _>>()
        };
        let department = |(name, tags): (&String, &BTreeSet<String>)| {
            Ok((name.clone(), checked(&format!("departments.{name}"), tags)?))
        };
        Ok(engine::Residency {
            everywhere: checked("everywhere", &self.everywhere)?,
            agents: keyed("agents", &self.agents)?,
            templates: keyed("templates", &self.templates)?,
            departments: self.departments.iter().map(department).collect::<Result<_, String>>()?,
        })
    }
}

fn checked(place: &str, tags: &BTreeSet<String>) -> Result<BTreeSet<PlatformTag>, String> {
    let one = |tag: &String| tag.parse().map_err(|error| format!("residency.{place}: {error}"));
    tags.iter().map(one).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_its_place() {
        let read = |text: &str| {
            let text = <figment::providers::Toml as figment::providers::Format>::string(text);
            figment::Figment::new().merge(text).extract::<Residency>().unwrap().compiled()
        };
        let fine =
            read("everywhere = [\"eu\"]\nagents = { counsel = [\"on-premises\"] }\n[departments]\nlegal = [\"eu\"]")
                .unwrap();
        assert_eq!(fine.agents.keys().next().unwrap().as_str(), "counsel");
        assert!(
            read("[departments]\nlegal = [\"The EU\"]").unwrap_err().contains("residency.departments.legal: `The EU`")
        );
        assert!(read("[agents]\n\"No Key\" = [\"eu\"]").unwrap_err().starts_with("residency.agents: `No Key`"));
        assert_eq!(Residency::default().compiled().unwrap(), engine::Residency::default());
    }
}
