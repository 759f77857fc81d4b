use super::{Denied, DeniedMore};

/// What may be asked of the denials of a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DenialCommand {
    /// Records one.
    Record(Denied),
    /// Records how many more there were than are recorded one by one.
    Count(DeniedMore),
}
