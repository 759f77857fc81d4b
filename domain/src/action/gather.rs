//! What several tasks ask for is one thing to do.

use crate::ActionId;
use crate::task::ActionItem;

/// Something to do that one or more tasks ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathered {
    /// Its name: that of the first one that asked for it.
    pub id: ActionId,
    /// What, by whom, until when.
    pub item: ActionItem,
    /// The steps that ask for it, in the order in which they did.
    pub steps: Vec<String>,
}

/// What the tasks of a run ask for, in the order in which they completed, each thing once.
pub fn gather<'a>(asked: impl IntoIterator<Item = (ActionId, &'a str, ActionItem)>) -> Vec<Gathered> {
    let mut all: Vec<Gathered> = Vec::new();
    for (id, step, item) in asked {
        match all.iter_mut().find_map(|known| absorb(&mut known.item, &item).then_some(known)) {
            Some(known) if known.steps.iter().any(|known| known == step) => {}
            Some(known) => known.steps.push(step.to_owned()),
            None => all.push(Gathered { id, item, steps: vec![step.to_owned()] }),
        }
    }
    all
}

/// Takes another item in when it asks for the same thing, and says whether it did: of what one of them does not say, the
/// other's word counts, and the more pressing priority. Where they name different people or dates, they are two.
#[must_use]
pub fn absorb(own: &mut ActionItem, other: &ActionItem) -> bool {
    let agree = |one: &Option<String>, other: &Option<String>| match (one, other) {
        (Some(one), Some(other)) => same_words(one, other),
        _ => true,
    };
    if !(same_words(&own.what, &other.what) && agree(&own.owner, &other.owner) && agree(&own.due, &other.due)) {
        return false;
    }
    own.owner = own.owner.take().or_else(|| other.owner.clone());
    own.due = own.due.take().or_else(|| other.due.clone());
    own.priority = own.priority.into_iter().chain(other.priority).min();
    true
}

/// Whether two texts say the same but for case, spaces and marks.
#[must_use]
pub fn same_words(one: &str, other: &str) -> bool {
    let letters = |text: &str| {
        text.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>()
    };
    letters(one) == letters(other)
}
