use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Platform;

/// The platforms of this process, by key and in order. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    platforms: Arc<[Arc<dyn Platform>]>,
    order: Arc<[usize]>,
    tags: Arc<BTreeMap<String, Vec<String>>>,
    /// Of models that have others than their platform, by platform and model.
    model_tags: Arc<BTreeMap<String, BTreeMap<String, Vec<String>>>>,
}

/// Why platforms make no registry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRegistry {
    /// Two platforms share a key.
    #[error("two platforms are called `{0}`")]
    Duplicate(String),
    /// The order of defaults names a platform that is not there.
    #[error("the default platforms name `{name}`, but only these are configured: {known}")]
    Unknown {
        /// The name.
        name: String,
        /// The keys that exist.
        known: String,
    },
}

impl Registry {
    /// Takes the platforms in the order given. `defaults` says where work goes that names no platform, most wanted
    /// first; empty means all of them in their own order.
    ///
    /// # Errors
    /// When two platforms share a key, or `defaults` names one that is not there.
    pub fn new(platforms: Vec<Arc<dyn Platform>>, defaults: &[String]) -> Result<Self, InvalidRegistry> {
        for (index, platform) in platforms.iter().enumerate() {
            if platforms.iter().take(index).any(|earlier| earlier.key() == platform.key()) {
                return Err(InvalidRegistry::Duplicate(platform.key().to_owned()));
            }
        }
        let order = if defaults.is_empty() {
            (0..platforms.len()).collect()
        } else {
            defaults
                .iter()
                .map(|name| {
                    platforms.iter().position(|platform| platform.key() == name).ok_or_else(|| {
                        InvalidRegistry::Unknown {
                            name: name.clone(),
                            known: platforms.iter().map(|platform| platform.key()).collect::<Vec<_>>().join(", "),
                        }
                    })
                })
                .collect::<Result<Vec<_>, _>>()?
        };
        Ok(Self { platforms: platforms.into(), order: order.into(), tags: Arc::default(), model_tags: Arc::default() })
    }

    /// The same where work that names no platform goes nowhere: there is nobody but those who must be named.
    #[must_use]
    pub fn without_defaults(self) -> Self {
        Self { order: Arc::default(), ..self }
    }

    /// The same with tags of platforms by their keys, such as the regions in which they process data.
    #[must_use]
    pub fn tagged(self, tags: BTreeMap<String, Vec<String>>) -> Self {
        Self { tags: Arc::new(tags), ..self }
    }

    /// The same with tags that some models have instead of those of their platform, by platform and model.
    #[must_use]
    pub fn with_model_tags(self, tags: BTreeMap<String, BTreeMap<String, Vec<String>>>) -> Self {
        Self { model_tags: Arc::new(tags), ..self }
    }

    /// The tags of a platform, which are those of its models that have none of their own.
    #[must_use]
    pub fn tags(&self, key: &str) -> &[String] {
        self.tags.get(key).map(Vec::as_slice).unwrap_or_default()
    }

    /// The models of a platform that have tags of their own.
    pub fn model_tags(&self, key: &str) -> impl Iterator<Item = (&str, &[String])> {
        let own = self.model_tags.get(key).into_iter().flatten();
        own.map(|(model, tags)| (model.as_str(), tags.as_slice()))
    }

    /// The tags of a model of a platform. Where nobody knows which model it will be, only what all of them have holds.
    #[must_use]
    pub fn tags_of(&self, key: &str, model: Option<&str>) -> Vec<String> {
        let own = |name: &str| self.model_tags(key).find(|(model, _)| *model == name).map(|(_, tags)| tags.to_vec());
        match model {
            Some(model) => own(model).unwrap_or_else(|| self.tags(key).to_vec()),
            None => {
                let everywhere = |tag: &&String| self.model_tags(key).all(|(_, tags)| tags.contains(tag));
                self.tags(key).iter().filter(everywhere).cloned().collect()
            }
        }
    }

    /// The platform of that key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Arc<dyn Platform>> {
        self.platforms.iter().find(|platform| platform.key() == key)
    }

    /// Where work goes that names no platform: the first in the order of defaults that is not
    /// [`unusable`](Platform::unusable).
    #[must_use]
    pub fn default(&self) -> Option<&Arc<dyn Platform>> {
        self.defaults().find(|platform| platform.unusable().is_none())
    }

    /// The order of defaults, usable or not.
    pub fn defaults(&self) -> impl Iterator<Item = &Arc<dyn Platform>> {
        self.order.iter().filter_map(|&index| self.platforms.get(index))
    }

    /// Every platform, in the order of configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Platform>> {
        self.platforms.iter()
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter().map(|platform| platform.key())).finish()
    }
}
