//! The migrations of the whole program: journal and read models share one numbered folder.

use sqlx::PgPool;
use sqlx::migrate::{MigrateError, Migrator};

/// Every migration, built into the program.
pub static MIGRATOR: Migrator = sqlx::migrate!("../migrations");

/// Brings a database to the newest schema; does nothing when it is there. Several processes may do so at once.
///
/// # Errors
/// When the database cannot be reached, or holds a schema that this program does not know.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    MIGRATOR.run(pool).await
}
