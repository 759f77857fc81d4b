//! The catalogue that an installation uses: the starter catalogue, and the company's own over it.

use std::collections::BTreeSet;
use std::path::Path;

use commands::Commands;
use commands::catalog::{Catalog, CatalogError};
use domain::PlatformTag;
use domain::agent::Profile;

use crate::config::{Config, Platform};

/// Reads a directory, or without one the installation's catalogue.
///
/// # Errors
/// All that is wrong with the files.
pub(crate) fn read(config: &Config, directory: Option<&Path>) -> Result<Catalog, Vec<CatalogError>> {
    let list = |errors: commands::catalog::CatalogErrors| errors.as_slice().to_vec();
    match (directory, &config.catalog.dir) {
        (Some(directory), _) => Catalog::read_dir(directory).map_err(list),
        (None, Some(own)) => Ok(Catalog::read_dir(own).map_err(list)?.over(Catalog::starter().map_err(list)?)),
        (None, None) => Catalog::starter().map_err(list),
    }
}

/// What in the workflows of a catalogue fits neither the catalogue nor what is registered.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) async fn unfit(commands: &Commands, catalog: &Catalog) -> Result<Vec<CatalogError>, commands::Error> {
    Ok(catalog.check_against(&commands.known_to_workflows(catalog).await?))
}

/// What a catalogue demands of platforms and no platform of this installation has, in sentences: such work would fail with
/// `tag_missing`. That is no fault of the catalogue, which may be meant for another installation.
///
/// # Errors
/// In words, when the configured demands make no sense.
pub(crate) fn unmet(config: &Config, catalog: &Catalog) -> Result<Vec<String>, String> {
    let residency = config.residency.compiled()?;
    let said = |what: &str, demanded: &BTreeSet<PlatformTag>| {
        let tags: Vec<&str> = demanded.iter().map(PlatformTag::as_str).collect();
        format!("{what} needs a platform that is tagged {}, and none that is configured for it is", tags.join(", "))
    };
    let everywhere = residency.demands(None, None, None);
    if !is_met(config, None, &everywhere) {
        return Ok(vec![said("everything", &everywhere)]);
    }
    let mut all = Vec::new();
    for profile in &catalog.agents {
        let demanded = residency.demands(Some(profile), None, None);
        if !is_met(config, Some(profile), &demanded) {
            all.push(said(&format!("agent `{}`", profile.key), &demanded));
        }
    }
    for body in &catalog.templates {
        let demanded = residency.demands(None, Some(body), None);
        if !is_met(config, None, &demanded) {
            all.push(said(&format!("template `{}`", body.key), &demanded));
        }
    }
    // What was said of one of the two alone is not said of every step again.
    if !all.is_empty() {
        return Ok(all);
    }
    for definition in &catalog.workflows {
        for (step, work) in definition.steps.iter().flat_map(|step| step.tasks().map(move |work| (step, work))) {
            let agent = work.agent.named().and_then(|key| catalog.agents.iter().find(|profile| profile.key == *key));
            let template = catalog.templates.iter().find(|body| body.key == work.template);
            let demanded = residency.demands(agent, template, Some(&definition.department));
            if !is_met(config, agent, &demanded) {
                all.push(said(&format!("step `{}` of workflow `{}`", step.name, definition.key), &demanded));
            }
        }
    }
    Ok(all)
}

/// Whether some configured platform that an agent may use has all of these tags, itself or with one of its models.
fn is_met(config: &Config, agent: Option<&Profile>, demanded: &BTreeSet<PlatformTag>) -> bool {
    let may_use = |key: &str| match agent {
        Some(Profile { platform: Some(platform), fallback_platforms, .. }) => {
            platform.as_str() == key || fallback_platforms.iter().any(|fallback| fallback.as_str() == key)
        }
        _ => true,
    };
    let has_all = |tags: &[String]| demanded.iter().all(|tag| tags.iter().any(|known| known == tag.as_str()));
    let has_them =
        |platform: &Platform| has_all(&platform.tags) || platform.model_tags.values().any(|tags| has_all(tags));
    demanded.is_empty() || config.platforms.iter().any(|(key, platform)| may_use(key) && has_them(platform))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::config::PlatformKind;

    fn config(tagged: &[(&str, &[&str])]) -> Config {
        let of = |(key, tags): &(&str, &[&str])| {
            let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
            let mut platform = Platform::of(PlatformKind::named("ollama").unwrap());
            platform.tags = tags;
            ((*key).to_owned(), platform)
        };
        Config { platforms: tagged.iter().map(of).collect(), ..Config::default() }
    }

    fn catalog(agent: &str, template: &str) -> Catalog {
        let profile = format!("key: counsel\nname: C\ndescription: C.\nsystem_prompt: You are.\n{agent}");
        let body = format!(
            "key: review\ntitle: R\ndescription: R.\nparameters: {{ type: object }}\ninstructions: Review.\n{template}"
        );
        let flow = "key: flow\nname: F\ndescription: F.\ndepartment: legal\ninput_schema: { type: object }\n\
                    steps: [{ name: a, title: A, agent: counsel, template: review }]\n";
        let files = [("agents/a.yaml", profile.as_str()), ("templates/t.yaml", &body), ("workflows/w.yaml", flow)];
        Catalog::from_files(files).unwrap()
    }

    #[test]
    fn what_nobody_can_be_sent_is_told_once() {
        let two: &[(&str, &[&str])] = &[("near", &["house"]), ("far", &["eu", "iso"])];
        let told = |agent: &str, template: &str| unmet(&config(two), &catalog(agent, template)).unwrap();
        assert_eq!(told("", ""), [""; 0]);
        assert_eq!(told("residency: [house]\n", ""), [""; 0]);
        assert_eq!(
            told("residency: [house, eu]\n", "residency: [moon]\n"),
            [
                "agent `counsel` needs a platform that is tagged eu, house, and none that is configured for it is",
                "template `review` needs a platform that is tagged moon, and none that is configured for it is",
            ]
        );
        // Each by itself can be sent somewhere, both together cannot.
        let step = "step `a` of workflow `flow` needs a platform that is tagged eu, house, and none that is configured for it is";
        assert_eq!(told("residency: [house]\n", "residency: [eu]\n"), [step]);
        let bound = told("platform: near\nresidency: [eu]\n", "");
        assert!(bound[0].starts_with("agent `counsel` needs a platform that is tagged eu"), "{bound:?}");
        assert_eq!(told("platform: near\nfallback_platforms: [far]\nresidency: [eu]\n", ""), [""; 0]);

        let mut strict = config(two);
        strict.residency.departments = [("legal".to_owned(), ["mars".to_owned()].into())].into();
        assert!(unmet(&strict, &catalog("", "")).unwrap()[0].contains("workflow `flow` needs"));
        strict.residency.everywhere = ["mars".to_owned()].into();
        assert!(unmet(&strict, &catalog("", "")).unwrap()[0].starts_with("everything needs"));
    }
}
