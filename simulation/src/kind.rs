//! The kinds of worlds that there are. Which a world is follows from its seed alone, and what only one kind has is drawn in no
//! other: the seeds that found a defect still make the worlds that they made.

/// The seeds from this one on are those of worlds with budgets.
pub const BUDGETED: u64 = 1 << 32;
/// The seeds from this one on are those of worlds in which one platform answers out of itself, often at once.
pub const SELF_CONTAINED: u64 = 1 << 33;

/// What a world has that others have not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Plain,
    /// Budgets, and calls that cost something.
    Budgeted,
    /// A platform whose calls may be made before their attempts are recorded.
    SelfContained,
}

impl Kind {
    /// The kind of the world of a seed.
    pub(crate) const fn of(seed: u64) -> Self {
        match seed {
            0..BUDGETED => Self::Plain,
            BUDGETED..SELF_CONTAINED => Self::Budgeted,
            SELF_CONTAINED.. => Self::SelfContained,
        }
    }
}
