use domain::hold::{HoldScope, Placed};
use domain::run::PauseClock;
use domain::{Hold, HoldCommand, StreamId};

use crate::{Commands, Error, Outcome, Request};

impl Commands {
    /// Pauses everything, or every run of a workflow, those that start later included. A hold that is in force already
    /// stays as it is.
    ///
    /// # Errors
    /// Only when the journal fails.
    pub async fn place_hold(
        &self,
        request: Request,
        scope: HoldScope,
        reason: String,
        clock: PauseClock,
    ) -> Result<Outcome, Error> {
        let stream = StreamId::from(scope.id());
        let (by, at) = (request.actor.clone(), self.surroundings.now());
        let command = HoldCommand::Place(Placed { scope, by, reason, at, clock });
        self.on_hold(request, stream, command).await
    }

    /// Lets what a hold paused go on; runs that were paused one by one stay paused.
    ///
    /// # Errors
    /// `HOLD_NOT_PLACED`.
    pub async fn lift_hold(&self, request: Request, scope: &HoldScope) -> Result<Outcome, Error> {
        let command = HoldCommand::Lift { by: request.actor.clone(), now: self.surroundings.now() };
        self.on_hold(request, scope.id().into(), command).await
    }

    async fn on_hold(&self, request: Request, stream: StreamId, command: HoldCommand) -> Result<Outcome, Error> {
        let (context, remember) = self.context(&request);
        let done = self.executor.execute::<Hold>(stream, command, context, remember).await?;
        Ok(Outcome::of(stream, &done))
    }
}
