//! Tasks: one unit of AI work done by an agent, for a step or on its own.

mod agent_choice;
mod choice;
mod command;
mod decide;
mod event;
mod failures;
mod output;
mod prompt;
mod state;
mod verdict;

pub use agent_choice::{AgentChoice, AgentExclusion, AgentFactors, AgentReason, ConsideredAgent, Share};
pub use choice::{Choice, Consumed, Kept, Masked, PassedOver, Purpose, Reserved, Why};
pub use command::{Ending, Pacing, TaskCommand};
pub use decide::TaskRefusal;
pub use event::TaskEvent;
pub use output::{ActionItem, Checked, Form, Output, Priority, Quality, Rating, RatingPart, Score};
pub use prompt::Prompt;
pub use state::{Attempt, AttemptStatus, Order, Task, TaskStatus};
pub use verdict::{
    FailedJudgement, Judgement, PersonRating, QualityPart, QualitySource, Review, Shift, Standing, Version,
};

crate::decide::aggregate!(Task, TaskCommand, TaskEvent, TaskRefusal, Task);
