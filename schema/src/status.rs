//! The enums of the API, each the edge form of the stable names that the read models hold.

use async_graphql::Enum;

use crate::failure;

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
        pub(crate) enum $name {
            $($(#[$variant_doc])* $variant),*
        }

        impl $name {
            /// From the name that the read models hold.
            #[allow(dead_code, reason = "not every name is read back")]
            pub(crate) fn of(text: &str) -> async_graphql::Result<Self> {
                match text {
                    $($text => Ok(Self::$variant),)*
                    other => Err(failure::unreadable(concat!(stringify!($name), " in a read model"), other)),
                }
            }

            /// The name that the read models hold.
            #[allow(dead_code, reason = "not every name is a filter")]
            pub(crate) const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),*
                }
            }
        }
    )*};
}

named! {
    /// Where a run stands.
    RunStatus {
        /// Under way.
        Running = "running",
        /// Somebody wants it to stop, and what runs is being cut.
        Cancelling = "cancelling",
        /// All steps completed.
        Completed = "completed",
        /// A step failed for good.
        Failed = "failed",
        /// Stopped on request.
        Cancelled = "cancelled",
    }

    /// Where a step of a run stands.
    StepStatus {
        /// It waits for other steps.
        Pending = "pending",
        /// Its task is under way.
        Running = "running",
        /// Its output is there.
        Completed = "completed",
        /// It failed for good.
        Failed = "failed",
        /// It was cut.
        Cancelled = "cancelled",
    }

    /// Where a task stands.
    TaskStatus {
        /// No agent has it yet.
        Created = "created",
        /// An agent has it; no platform is being called.
        Assigned = "assigned",
        /// A platform is being called.
        Running = "running",
        /// An attempt failed, and the next one waits for its time.
        Waiting = "waiting",
        /// Done.
        Completed = "completed",
        /// Failed for good.
        Failed = "failed",
        /// Stopped on request.
        Cancelled = "cancelled",
    }

    /// How an attempt stands.
    AttemptStatus {
        /// The platform is being called.
        Running = "running",
        /// It answered.
        Succeeded = "succeeded",
        /// It failed.
        Failed = "failed",
        /// The process died between calling and recording; its cost is unknown.
        Lost = "lost",
        /// It was cut because the task was cancelled.
        Cancelled = "cancelled",
    }

    /// Where a workflow stands.
    WorkflowStatus {
        /// No version takes runs yet.
        Draft = "draft",
        /// One version takes new runs.
        Active = "active",
    }

    /// How an attempt can fail.
    ErrorKind {
        /// No answer in time.
        Timeout = "timeout",
        /// The platform could not be reached, or the connection broke.
        Unreachable = "unreachable",
        /// The platform asks for a pause.
        RateLimited = "rate_limited",
        /// The platform failed on its side.
        PlatformFailure = "platform_failure",
        /// The answer could not be understood, or ended in the middle.
        MalformedReply = "malformed_reply",
        /// The credentials were refused or are missing.
        Unauthorized = "unauthorized",
        /// The platform says that the request is wrong.
        InvalidRequest = "invalid_request",
        /// Prompt and answer do not fit the model's context.
        ContextTooLong = "context_too_long",
        /// The platform refuses the content.
        ContentRefused = "content_refused",
        /// Nothing of that name is configured.
        UnknownPlatform = "unknown_platform",
        /// The prompt could not be made: a parameter is missing or a template is wrong.
        InvalidInput = "invalid_input",
        /// The process died between sending and recording; whether the platform was paid is unknown.
        Lost = "lost",
        /// HishamOS was stopped while the platform was being called; it does not count against the retry policy.
        Interrupted = "interrupted",
    }

    /// The kind of aggregate that a stream belongs to.
    Category {
        /// Streams of workflow definitions.
        Workflow = "workflow",
        /// Streams of runs.
        Run = "run",
        /// Streams of tasks.
        Task = "task",
        /// Streams of agents.
        Agent = "agent",
        /// Streams of templates.
        Template = "template",
    }

    /// What something waits for.
    CauseKind {
        /// No node has taken the run yet.
        Unclaimed = "unclaimed",
        /// A platform is being called.
        Attempt = "attempt",
        /// An attempt failed, and the next one waits for its time.
        Retry = "retry",
        /// The owner is about to go on; seen only between two appends or after a crash.
        Engine = "engine",
        /// Other steps have to complete first.
        Needs = "needs",
        /// The step failed.
        Failed = "failed",
        /// The run ended or is ending before the step's turn came.
        NotReached = "not_reached",
    }
}

impl From<domain::run::StepStatus> for StepStatus {
    fn from(status: domain::run::StepStatus) -> Self {
        match status {
            domain::run::StepStatus::Pending => Self::Pending,
            domain::run::StepStatus::Running => Self::Running,
            domain::run::StepStatus::Completed => Self::Completed,
            domain::run::StepStatus::Failed => Self::Failed,
            domain::run::StepStatus::Cancelled => Self::Cancelled,
        }
    }
}

impl Category {
    /// The domain's own.
    pub(crate) const fn domain(self) -> domain::Category {
        match self {
            Self::Workflow => domain::Category::Workflow,
            Self::Run => domain::Category::Run,
            Self::Task => domain::Category::Task,
            Self::Agent => domain::Category::Agent,
            Self::Template => domain::Category::Template,
        }
    }

    /// From the domain's own.
    pub(crate) const fn of_domain(category: domain::Category) -> Self {
        match category {
            domain::Category::Workflow => Self::Workflow,
            domain::Category::Run => Self::Run,
            domain::Category::Task => Self::Task,
            domain::Category::Agent => Self::Agent,
            domain::Category::Template => Self::Template,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_the_domain_is_known() {
        for kind in domain::ErrorKind::ALL {
            assert_eq!(ErrorKind::of(kind.name()).unwrap().name(), kind.name());
        }
        for category in domain::Category::ALL {
            assert_eq!(Category::of_domain(category).domain(), category);
            assert_eq!(Category::of_domain(category).name(), category.name());
        }
    }
}
