//! The port for models of meaning.

use std::error::Error as StdError;

/// What a text means, as a vector of length 1.
pub type Vector = Vec<f32>;

/// A model of meaning that could not answer.
#[derive(Debug, thiserror::Error)]
#[error("the model of meaning failed: {0}")]
pub struct MeaningError(#[source] pub Box<dyn StdError + Send + Sync>);

/// Places texts of several languages so that those which mean the same are close to each other.
pub trait Meaning: Send + Sync {
    /// The vectors of the texts, in their order. Each has length 1, and all have the same number of dimensions.
    ///
    /// # Errors
    /// When the model fails.
    fn vectors(&self, texts: &[&str]) -> Result<Vec<Vector>, MeaningError>;
}

/// How close two vectors of length 1 are, -1 to 1.
pub(crate) fn closeness(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}
