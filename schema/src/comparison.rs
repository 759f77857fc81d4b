//! Two runs beside each other.

use async_graphql::{Result, SimpleObject};
use projections::{Effort as EffortSum, RunComparison as Compared, RunSide as Side};

use crate::run::Run;
use crate::scalar::{Count, NanoUsd};
use crate::step::Step;

/// Two runs beside each other: what each did, and what is different.
#[derive(Debug, SimpleObject)]
pub(crate) struct RunComparison {
    /// One run.
    a: RunSide,
    /// The other.
    b: RunSide,
    /// Whether both were given the same input.
    same_input: bool,
    /// Whether both have the same output.
    same_output: bool,
    /// Every step of either, in the order of the first run's definition, then those that only the second has.
    steps: Vec<StepComparison>,
    /// The names of the steps that are not the same in both.
    differences: Vec<String>,
}

impl RunComparison {
    pub(crate) fn of(compared: Compared) -> Result<Self> {
        let differences = compared.steps.iter().filter(|step| !step.same).map(|step| step.name.clone()).collect();
        let steps = compared.steps.into_iter().map(|step| {
            Ok(StepComparison {
                name: step.name,
                a: step.a.map(StepSide::of).transpose()?,
                b: step.b.map(StepSide::of).transpose()?,
                same: step.same,
            })
        });
        Ok(Self {
            a: RunSide::of(compared.a)?,
            b: RunSide::of(compared.b)?,
            same_input: compared.same_input,
            same_output: compared.same_output,
            steps: steps.collect::<Result<_>>()?,
            differences,
        })
    }
}

/// One of two runs that are compared.
#[derive(Debug, SimpleObject)]
pub(crate) struct RunSide {
    /// The run; its `durationMs` is the time that it took.
    run: Run,
    /// What all its steps took together, those included that it took over from another run.
    effort: Effort,
}

impl RunSide {
    fn of(side: Side) -> Result<Self> {
        Ok(Self { run: Run::of(side.run)?, effort: side.effort.into() })
    }
}

/// A step in two runs.
#[derive(Debug, SimpleObject)]
pub(crate) struct StepComparison {
    /// Its name.
    name: String,
    /// In the first run; null when that has no such step.
    a: Option<StepSide>,
    /// In the second run; null when that has no such step.
    b: Option<StepSide>,
    /// Whether it stands at the same status, with the same output, in both.
    same: bool,
}

/// A step in one of two runs.
#[derive(Debug, SimpleObject)]
pub(crate) struct StepSide {
    /// The step; its `durationMs` is the time that it took.
    step: Step,
    /// Whether it was taken over from another run as it was.
    kept: bool,
    /// What it took.
    effort: Effort,
}

impl StepSide {
    fn of(side: projections::StepSide) -> Result<Self> {
        Ok(Self { step: Step::of(side.step)?, kept: side.kept, effort: side.effort.into() })
    }
}

/// What work took.
#[derive(Debug, SimpleObject)]
pub(crate) struct Effort {
    /// How many attempts.
    attempts: Count,
    /// The sum of all known costs.
    cost: NanoUsd,
    /// Attempts whose cost is not known, such as lost ones.
    attempts_of_unknown_cost: Count,
    /// All prompt tokens that were reported.
    input_tokens: Count,
    /// All answer tokens that were reported.
    output_tokens: Count,
}

impl From<EffortSum> for Effort {
    fn from(sum: EffortSum) -> Self {
        Self {
            attempts: Count::of(sum.attempts),
            cost: NanoUsd(sum.cost_nano_usd),
            attempts_of_unknown_cost: Count::of(sum.unknown_costs),
            input_tokens: Count::of(sum.input_tokens),
            output_tokens: Count::of(sum.output_tokens),
        }
    }
}
