use domain::agent::Profile;
use domain::{Agent, AgentCommand, AgentId, Key, StreamId};

use crate::{Commands, Error, Outcome, Request};

impl Commands {
    /// Registers an agent, or revises it when it exists; an equal profile changes nothing.
    ///
    /// # Errors
    /// `AGENT_INVALID` when the profile is out of range.
    pub async fn register_agent(&self, request: Request, profile: Profile) -> Result<Outcome, Error> {
        let key = profile.key.clone();
        self.on_agent(request, &key, AgentCommand::Register { profile: Box::new(profile) }).await
    }

    /// Lets an agent take work again.
    ///
    /// # Errors
    /// `AGENT_NOT_FOUND`.
    pub async fn enable_agent(&self, request: Request, key: &Key) -> Result<Outcome, Error> {
        self.on_agent(request, key, AgentCommand::Enable).await
    }

    /// Gives an agent no new work; what it is doing goes on.
    ///
    /// # Errors
    /// `AGENT_NOT_FOUND`.
    pub async fn disable_agent(&self, request: Request, key: &Key, reason: String) -> Result<Outcome, Error> {
        self.on_agent(request, key, AgentCommand::Disable { reason }).await
    }

    async fn on_agent(&self, request: Request, key: &Key, command: AgentCommand) -> Result<Outcome, Error> {
        let stream = StreamId::from(AgentId::from_key(key));
        let (context, remember) = self.context(&request);
        let done = self.executor.execute::<Agent>(stream, command, context, remember).await?;
        Ok(Outcome::of(stream, &done))
    }
}
