//! How judges agree with people.

use async_graphql::SimpleObject;

use crate::scalar::Position;

/// How judges agree with people, over the tasks that both have said something about.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct CalibrationReport {
    /// All models together; null when there is no such task.
    pub(crate) all: Option<Calibration>,
    /// Each model that judged, by its name.
    pub(crate) models: Vec<Calibration>,
    /// The position that this reflects at least.
    pub(crate) position: Position,
}

/// How a judge's marks compare with what people give to the same answers. People's mark of a task is the median of theirs.
#[derive(Debug, Clone, SimpleObject)]
pub(crate) struct Calibration {
    /// The model that judged; null for all of them together.
    model: Option<String>,
    /// How many tasks have both.
    count: u32,
    /// The mean of judge − people: above 0 the judge is kinder.
    bias: f64,
    /// The mean of |judge − people|.
    absolute_error: f64,
    /// Pearson's correlation of both marks, -1 to 1; null below two tasks, and when either gives everything the same mark.
    pearson: Option<f64>,
    /// Spearman's correlation: Pearson's of the ranks, where equal marks share the mean of their ranks.
    spearman: Option<f64>,
}

impl From<projections::Calibration> for Calibration {
    fn from(row: projections::Calibration) -> Self {
        let projections::Calibration { model, count, bias, absolute_error, pearson, spearman } = row;
        Self { model, count, bias, absolute_error, pearson, spearman }
    }
}
