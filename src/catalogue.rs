//! The catalogue that an installation uses: the starter catalogue, and the company's own over it.

use std::path::Path;

use commands::Commands;
use commands::catalog::{Catalog, CatalogError};

use crate::config::Config;

/// Reads a directory, or without one the installation's catalogue.
///
/// # Errors
/// All that is wrong with the files.
pub(crate) fn read(config: &Config, directory: Option<&Path>) -> Result<Catalog, Vec<CatalogError>> {
    let list = |errors: commands::catalog::CatalogErrors| errors.as_slice().to_vec();
    match (directory, &config.catalog.dir) {
        (Some(directory), _) => Catalog::read_dir(directory).map_err(list),
        (None, Some(own)) => Ok(Catalog::read_dir(own).map_err(list)?.over(Catalog::starter().map_err(list)?)),
        (None, None) => Catalog::starter().map_err(list),
    }
}

/// What in the workflows of a catalogue fits neither the catalogue nor what is registered.
///
/// # Errors
/// When the journal cannot be read.
pub(crate) async fn unfit(commands: &Commands, catalog: &Catalog) -> Result<Vec<CatalogError>, commands::Error> {
    Ok(catalog.check_against(&commands.known_to_workflows(catalog).await?))
}
