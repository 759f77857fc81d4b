//! What our streams are called in a KurrentDB that others may use as well.

use domain::StreamId;
use uuid::Uuid;

/// The names of one journal's streams, which all begin with its prefix.
///
/// Events are in `PREFIX_CATEGORY-UUID`; the journal's own notes are in streams that begin with `PREFIX.`, so that a
/// filter for events never meets them.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    /// The longest prefix.
    pub(super) const LONGEST: usize = 40;

    /// `None` when the prefix is anything but lower-case letters and digits: with a separator in it, one journal's
    /// streams could look like another's.
    pub(super) fn new(prefix: &str) -> Option<Self> {
        let fits = !prefix.is_empty()
            && prefix.len() <= Self::LONGEST
            && prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        fits.then(|| Self { prefix: prefix.to_owned() })
    }

    /// What the names of all streams of events begin with.
    pub(super) fn events(&self) -> String {
        format!("{}_", self.prefix)
    }

    /// What the names of all streams of events of one category begin with.
    pub(super) fn category(&self, category: &str) -> String {
        format!("{}_{category}-", self.prefix)
    }

    /// The stream of an aggregate.
    pub(super) fn stream(&self, stream: StreamId) -> String {
        self.named(stream.category.name(), stream.id)
    }

    /// The stream of an aggregate of a category that this program may not know.
    pub(super) fn named(&self, category: &str, id: Uuid) -> String {
        format!("{}_{category}-{id}", self.prefix)
    }

    /// What the names of the notes about commands begin with.
    pub(super) fn commands(&self) -> String {
        format!("{}.command-", self.prefix)
    }

    /// The notes about one command.
    pub(super) fn command(&self, command: Uuid) -> String {
        format!("{}.command-{command}", self.prefix)
    }

    /// How far every append is known to be whole.
    pub(super) fn whole(&self) -> String {
        format!("{}.whole", self.prefix)
    }

    /// The journal's own id.
    pub(super) fn identity(&self) -> String {
        format!("{}.journal", self.prefix)
    }

    /// The category and id in the name of a stream of events; `None` for any other stream.
    pub(super) fn parse<'a>(&self, name: &'a str) -> Option<(&'a str, Uuid)> {
        let rest = name.strip_prefix(self.prefix.as_str())?.strip_prefix('_')?;
        let (category, id) = rest.split_once('-')?;
        Some((category, id.parse().ok()?))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use domain::Category;

    #[test]
    fn names_lead_back_to_streams() {
        let names = Names::new("hishamos").unwrap();
        let stream = StreamId { category: Category::Run, id: Uuid::from_u128(7) };
        let name = names.stream(stream);
        assert_eq!(name, "hishamos_run-00000000-0000-0000-0000-000000000007");
        assert_eq!(names.parse(&name), Some(("run", stream.id)));
        assert!(name.starts_with(&names.category("run")) && name.starts_with(&names.events()));
        for other in [names.command(stream.id), names.whole(), names.identity(), "other_run-1".to_owned()] {
            assert!(names.parse(&other).is_none() && !other.starts_with(&names.events()), "{other}");
        }
    }

    #[test]
    fn a_prefix_cannot_reach_into_another_journal() {
        for wrong in ["", "a_b", "a.b", "A", "a-b", &"x".repeat(41)] {
            assert!(Names::new(wrong).is_none(), "{wrong}");
        }
    }
}
