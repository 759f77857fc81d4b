use domain::{RunCommand, RunId, StepName};

use crate::{Commands, Error, Outcome, Request};

/// A decision on an approval.
#[derive(Debug, Clone)]
pub struct DecideApproval {
    /// Which run.
    pub run: RunId,
    /// Which step of it.
    pub step: StepName,
    /// Yes or no.
    pub approved: bool,
    /// In the words of who decides.
    pub comment: String,
    /// The hash of the content that they saw; `None` decides on what is there.
    pub content_hash: Option<[u8; 32]>,
    /// The roles of who decides.
    pub roles: Vec<String>,
}

impl Commands {
    /// Decides on an approval.
    ///
    /// # Errors
    /// `RUN_NOT_FOUND`, `RUN_ENDED`, `STEP_UNKNOWN`, `APPROVAL_NOT_PENDING`, `APPROVAL_NOT_YOURS`, `APPROVAL_OWN_RUN`,
    /// `APPROVAL_REPEATED`, `APPROVAL_CONTENT_CHANGED`.
    pub async fn decide_approval(&self, request: Request, decision: DecideApproval) -> Result<Outcome, Error> {
        let DecideApproval { run, step, approved, comment, content_hash, roles } = decision;
        let (by, now) = (request.actor.clone(), self.surroundings.now());
        let command = RunCommand::DecideApproval { step, by, roles, approved, comment, content_hash, now };
        self.on_run(request, run, command).await
    }
}
