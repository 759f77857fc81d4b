use std::collections::BTreeMap;
use std::sync::Arc;

use providers::openai::Options;
use providers::{InvalidRegistry, OpenAi, Platform, Registry, Simulator};

fn simulator(key: &str) -> Arc<dyn Platform> {
    Arc::new(Simulator::builder().key(key).build())
}

/// OpenAI without a key, reached over plain HTTP so that it can be made on a system without certificates.
fn keyless() -> Arc<dyn Platform> {
    Arc::new(OpenAi::new(Options::new("openai", "http://api.openai.com/v1")).unwrap())
}

#[test]
fn finds_by_key_and_defaults_to_the_first_usable() {
    let registry = Registry::new(vec![keyless(), simulator("a"), simulator("b")], &[]).unwrap();
    assert_eq!(registry.get("b").map(|platform| platform.key()), Some("b"));
    assert!(registry.get("c").is_none());
    assert_eq!(registry.default().map(|platform| platform.key()), Some("a"));
    assert_eq!(registry.iter().count(), 3);

    let order = ["openai".to_owned(), "b".to_owned()];
    let registry = Registry::new(vec![simulator("a"), simulator("b"), keyless()], &order).unwrap();
    assert_eq!(registry.default().map(|platform| platform.key()), Some("b"));
    assert!(Registry::new(vec![keyless()], &[]).unwrap().default().is_none());
}

#[test]
fn refuses_what_is_ambiguous_or_missing() {
    let twice = Registry::new(vec![simulator("a"), simulator("a")], &[]).unwrap_err();
    assert_eq!(twice, InvalidRegistry::Duplicate("a".into()));
    let unknown = Registry::new(vec![simulator("a")], &["b".to_owned()]).unwrap_err();
    assert_eq!(unknown.to_string(), "the default platforms name `b`, but only these are configured: a");
}

#[test]
fn models_may_have_tags_of_their_own() {
    let names = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    let registry = Registry::new(vec![simulator("a"), simulator("b")], &[]).unwrap();
    let registry = registry.tagged(BTreeMap::from([("a".to_owned(), names(&["eu", "fast"]))]));
    assert_eq!(registry.tags_of("a", None), ["eu", "fast"]);
    let own = BTreeMap::from([("x".to_owned(), names(&["us", "fast"])), ("y".to_owned(), names(&["fast", "eu"]))]);
    let registry = registry.with_model_tags(BTreeMap::from([("a".to_owned(), own)]));
    assert_eq!(registry.tags_of("a", Some("x")), ["us", "fast"]);
    assert_eq!(registry.tags_of("a", Some("z")), ["eu", "fast"], "as the platform");
    assert_eq!(registry.tags_of("a", None), ["fast"], "whichever it will be");
    assert_eq!((registry.tags_of("b", Some("x")), registry.tags_of("c", None)), (vec![], vec![]));
    assert_eq!(registry.model_tags("a").map(|(model, _)| model).collect::<Vec<_>>(), ["x", "y"]);
    assert!(registry.without_defaults().default().is_none());
}
