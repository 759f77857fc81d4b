use std::sync::Arc;

use domain::search::{Kept, SavedSearch};
use domain::{Actor, SearchCommand, Searches, SearchesId, StreamId};

use crate::request::TENANT;
use crate::{Commands, Error, Outcome, Request};

impl Commands {
    /// Saves a search of the caller's, or changes the one of this name.
    ///
    /// # Errors
    /// `SEARCH_INVALID`.
    pub async fn save_search(&self, request: Request, search: SavedSearch) -> Result<Outcome, Error> {
        let (by, now) = (request.actor.clone(), self.surroundings.now());
        self.on_searches(request, SearchCommand::Save { search: Box::new(search), by, now }).await
    }

    /// Takes a search of the caller's away.
    ///
    /// # Errors
    /// `SEARCH_NOT_FOUND`.
    pub async fn delete_search(&self, request: Request, name: String) -> Result<Outcome, Error> {
        self.on_searches(request, SearchCommand::Delete { name }).await
    }

    /// What somebody has saved, by name, straight from the journal.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn searches(&self, of: &Actor) -> Result<Vec<Arc<Kept>>, Error> {
        let book = self.executor.load::<Searches>(SearchesId::of(TENANT, of).into()).await?.state;
        Ok(book.iter().map(Arc::clone).collect())
    }

    async fn on_searches(&self, request: Request, command: SearchCommand) -> Result<Outcome, Error> {
        let stream = StreamId::from(SearchesId::of(TENANT, &request.actor));
        let (context, remember) = self.context(&request);
        let done = self.executor.execute::<Searches>(stream, command, context, remember).await?;
        Ok(Outcome::of(stream, &done))
    }
}
