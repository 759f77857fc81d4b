use super::{KeyIntroduced, KeyRotated, Sealed};

/// What may be asked of the seals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealCommand {
    /// Makes a key the first one. The same key again changes nothing.
    Introduce(KeyIntroduced),
    /// Hands over to another key.
    Rotate(KeyRotated),
    /// Records a seal.
    Seal(Sealed),
}
