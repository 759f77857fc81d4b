use domain::limit::LimitSettings;
use domain::{Key, Limit, LimitCommand, LimitId, LimitRefusal, Refusal, StreamId};
use journal::ExecuteError;

use crate::{Commands, Error, Outcome, Refused, Request};

impl Commands {
    /// Sets a limit, or changes it; it counts at once, also for what waits already.
    ///
    /// # Errors
    /// `LIMIT_INVALID`.
    pub async fn set_limit(&self, request: Request, settings: LimitSettings) -> Result<Outcome, Error> {
        let key = settings.key.clone();
        self.on_limit(request, &key, LimitCommand::Set { settings: Box::new(settings) }).await
    }

    /// Takes a limit away.
    ///
    /// # Errors
    /// `LIMIT_NOT_FOUND`.
    pub async fn remove_limit(&self, request: Request, key: &Key, reason: String) -> Result<Outcome, Error> {
        self.on_limit(request, key, LimitCommand::Remove { reason }).await
    }

    async fn on_limit(&self, request: Request, key: &Key, command: LimitCommand) -> Result<Outcome, Error> {
        let stream = StreamId::from(LimitId::from_key(key));
        let (context, remember) = self.context(&request);
        match self.executor.execute::<Limit>(stream, command, context, remember).await {
            Ok(done) => Ok(Outcome::of(stream, &done)),
            Err(ExecuteError::Refused(refusal)) if refusal.code() == LimitRefusal::NotFound.code() => {
                Err(Refused::LimitNotFound(key.clone()).into())
            }
            Err(error) => Err(error.into()),
        }
    }
}
