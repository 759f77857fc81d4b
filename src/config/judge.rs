//! Who judges answers, and how many of them.

use serde::{Deserialize, Serialize};

/// A judge for answers; without agents nothing is judged.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Judge {
    /// The agents that judge, most wanted first; one whose model is of another family than the author's goes before others.
    pub(crate) agents: Vec<domain::Key>,
    /// How often a judge is asked about one answer, 1 to 9.
    pub(crate) samples: u32,
    /// The share of the answers that are judged, 0 to 1.
    pub(crate) share: f64,
}

impl Default for Judge {
    fn default() -> Self {
        Self { agents: Vec::new(), samples: 3, share: 1.0 }
    }
}

impl Judge {
    /// What is wrong with it.
    pub(super) fn fault(&self) -> Option<String> {
        if !(1..=9).contains(&self.samples) {
            return Some(format!("judge.samples is {}, but must be 1 to 9", self.samples));
        }
        let share = self.share;
        (!(0.0..=1.0).contains(&share)).then(|| format!("judge.share is {share}, but must be 0 to 1"))
    }

    /// As the engine takes it; `None` when nothing is judged.
    pub(crate) fn options(&self) -> Option<engine::judge::Options> {
        // The nearest whole number of thousandths; the share lies between 0 and 1.
        let share_milli = (0..=1000_u32).find(|milli| f64::from(*milli) + 0.5 > self.share * 1000.0).unwrap_or(1000);
        let options = engine::judge::Options::new(self.agents.clone());
        let wanted = !self.agents.is_empty() && share_milli > 0;
        wanted.then_some(engine::judge::Options { samples: self.samples, share_milli, ..options })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_judged_unless_somebody_judges() {
        assert!(Judge::default().options().is_none());
        let judge = Judge { agents: vec!["senior-reviewer".parse().unwrap()], ..Judge::default() };
        let options = judge.options().unwrap();
        assert_eq!((options.samples, options.share_milli), (3, 1000));
        assert_eq!(Judge { share: 0.25, ..judge.clone() }.options().unwrap().share_milli, 250);
        assert!(Judge { share: 0.0, ..judge.clone() }.options().is_none());
        assert_eq!(judge.fault(), None);
        assert!(Judge { samples: 0, ..judge.clone() }.fault().unwrap().contains("judge.samples is 0"));
        assert!(Judge { share: f64::NAN, ..judge }.fault().unwrap().contains("judge.share"));
    }
}
