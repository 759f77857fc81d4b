//! The kind of platform that is an open-weights model in this process, as far as every build of the program knows it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Platform;
use crate::kind::{Kind, Settings, Setup, Unusable};

/// The kind `local`.
pub const KIND: Kind = Kind { rank: 110, ..Kind::of::<Own>("local") };

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Own {
    /// The GGUF file; the newest in `models` of the data directory when not given.
    path: Option<PathBuf>,
}

impl Settings for Own {
    const NAMES: &'static [&'static str] = &["path"];

    #[cfg(feature = "local-model")]
    fn open(&self, setup: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable> {
        let path = self.path.clone().or_else(|| find(setup.data_dir)).ok_or_else(|| {
            let models = setup.data_dir.join("models");
            format!("there is no GGUF file in {}; put one there or set its path", models.display())
        })?;
        let options = crate::local::Options::new(path);
        Ok(Arc::new(crate::Local::new(crate::local::Options {
            key: setup.key.to_owned(),
            model: setup.model,
            ..options
        })?))
    }

    #[cfg(not(feature = "local-model"))]
    fn open(&self, _: Setup<'_>) -> Result<Arc<dyn Platform>, Unusable> {
        Err("this program was built without local models; build it with `--features local-model`".into())
    }
}

/// The newest GGUF file in `models` of the data directory.
#[must_use]
pub fn find(data_dir: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(data_dir.join("models")).ok()?;
    let models = entries.flatten().map(|entry| entry.path());
    let models = models.filter(|path| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("gguf")));
    models.max_by_key(|path| path.metadata().and_then(|found| found.modified()).ok())
}
