//! Rebuilding a read model from the whole journal.

use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::engine::{House, LARGE};
use crate::report::{Report, per_second};
use crate::store::Store;

pub(crate) async fn measure(store: &Store, report: &mut Report) -> anyhow::Result<()> {
    if !report.wants("projections.rebuild") {
        return Ok(());
    }
    let database = store.database(&format!("{LARGE}_rebuild")).await?;
    let house = House::open(&database).await?;
    house.many(report.rounds(2000), 100).await?;
    house.close().await?;
    let open = database.open().await?;
    let started = Instant::now();
    let rebuilt =
        projections::rebuild(&database.pool, &open.journal, "runs", &CancellationToken::new(), |_| {}).await?;
    let took = started.elapsed();
    report.add("projections.rebuild", per_second(usize::try_from(rebuilt.events)?, took), "events/s", None);
    open.close().await
}
