use super::Posted;

/// What may be asked of an external event.
#[derive(Debug, Clone, PartialEq)]
pub enum ExternalCommand {
    /// Records it. The same name and payload again change nothing.
    Post(Posted),
}
