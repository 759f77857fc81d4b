//! `hishamos journal`: what a journal holds, and moving it to another back end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use journal::chain::Report;
use journal::kurrent::{self, KurrentJournal};
use journal::postgres::{self, PostgresCheckpoints, PostgresJournal};
use journal::{Checkpoints, Import, Journal, Position, Progress, ReadError, Transfer, TransferError};
use serde_json::json;

use super::failure::Failure;
use super::run;
use super::signals::Signals;
use super::terminal::{Style, Terminal, seconds};
use crate::config::{Config, DatabaseUrl};
use crate::store::Store;

/// The journal beside the read models, whatever the configuration says about the journal.
const BESIDE: &str = "postgresql";
/// How many events are read at a time.
const PAGE: usize = 2000;
/// How often the other side is asked for more when everything has been copied.
const LOOK: Duration = Duration::from_millis(500);

/// A journal that was named on the command line.
struct End {
    journal: Arc<dyn Journal>,
    shown: String,
    back_end: &'static str,
    way_in: WayIn,
    /// What the configuration's own database needs to live on.
    store: Option<Store>,
}

/// How events are brought in as they are.
enum WayIn {
    Postgres(Box<postgres::Options>),
    Kurrent(Box<kurrent::Options>),
}

impl End {
    /// The journal at a URL; the configured one without.
    async fn open(config: &Config, url: Option<&str>, target: bool) -> Result<Self, Failure> {
        let configured = config.journal.url.as_ref().map(DatabaseUrl::reveal);
        match url.or(configured) {
            Some(url) if kurrent::Options::is_url(url) => Self::kurrent(config, url).await,
            None | Some(BESIDE) => Self::beside(config).await,
            Some(url) if url.starts_with("postgres://") || url.starts_with("postgresql://") => {
                Self::postgres(url, target).await
            }
            Some(url) => Err(Failure::usage(format!(
                "`{}` names no journal; it is kurrentdb://…, postgres://…, or `{BESIDE}` for the PostgreSQL of the \
                 configuration",
                DatabaseUrl::new(url.to_owned()).masked()
            ))),
        }
    }

    async fn kurrent(config: &Config, url: &str) -> Result<Self, Failure> {
        let shown = DatabaseUrl::new(url.to_owned()).masked();
        let mut options =
            kurrent::Options::from_url(url).map_err(|error| Failure::usage(error.to_string().replace(url, &shown)))?;
        options.prefix.clone_from(&config.journal.prefix);
        let (journal, _) =
            KurrentJournal::open(options.clone()).await.with_context(|| format!("cannot open {shown}"))?;
        let way_in = WayIn::Kurrent(Box::new(options));
        Ok(Self { journal: Arc::new(journal), shown, back_end: "KurrentDB", way_in, store: None })
    }

    async fn postgres(url: &str, target: bool) -> Result<Self, Failure> {
        let shown = DatabaseUrl::new(url.to_owned()).masked();
        let options = postgres::Options::from_url(url)
            .map_err(|error| Failure::usage(format!("{shown} is no PostgreSQL URL: {error}")))?;
        if target {
            let pool = sqlx::PgPool::connect_with(options.connect.clone())
                .await
                .with_context(|| format!("cannot connect to {shown}"))?;
            postgres::migrate(&pool).await.with_context(|| format!("cannot bring {shown} up to date"))?;
            pool.close().await;
        }
        let (journal, _) =
            PostgresJournal::open(options.clone()).await.with_context(|| format!("cannot open {shown}"))?;
        let way_in = WayIn::Postgres(Box::new(options));
        Ok(Self { journal: Arc::new(journal), shown, back_end: "PostgreSQL", way_in, store: None })
    }

    async fn beside(config: &Config) -> Result<Self, Failure> {
        let mut config = config.clone();
        config.journal.url = None;
        let (store, _) = Store::open_any(&config, true).await?;
        let options = postgres::Options::new((*store.pool.connect_options()).clone());
        let shown = match &config.database_url {
            Some(url) => url.masked(),
            None => format!("the private PostgreSQL in {}", config.data_dir.display()),
        };
        Ok(Self {
            journal: Arc::clone(&store.journal),
            shown,
            back_end: "PostgreSQL",
            way_in: WayIn::Postgres(Box::new(options)),
            store: Some(store),
        })
    }

    async fn importer(&self) -> anyhow::Result<Box<dyn Import>> {
        let shown = &self.shown;
        Ok(match &self.way_in {
            WayIn::Postgres(options) => {
                Box::new(postgres::Importer::open(options).await.with_context(|| format!("cannot open {shown}"))?)
            }
            WayIn::Kurrent(options) => Box::new(
                kurrent::Importer::open((**options).clone()).await.with_context(|| format!("cannot open {shown}"))?,
            ),
        })
    }

    async fn close(self) -> anyhow::Result<()> {
        match self.store {
            Some(store) => store.close().await,
            None => Ok(()),
        }
    }
}

/// `hishamos journal info`.
pub(crate) async fn info(
    config: &Config,
    terminal: &mut Terminal,
    as_json: bool,
    url: Option<&str>,
) -> Result<(), Failure> {
    let end = End::open(config, url, false).await?;
    let counted = count(config, &end, terminal, url.is_none()).await;
    let (shown, back_end, gapless) = (end.shown.clone(), end.back_end, end.journal.gapless());
    end.close().await?;
    let Counted { head, events, streams, bytes, categories, lag } = counted?;
    if as_json {
        terminal.json(&json!({
            "journal": shown,
            "backEnd": back_end,
            "head": head.to_string(),
            "gapless": gapless,
            "events": events,
            "streams": streams,
            "bytes": bytes,
            "streamsByCategory": categories,
            "behind": lag,
        }));
        return Ok(());
    }
    terminal.line(format!("{back_end}: {shown}"));
    terminal.line(format!("  head      {head}{}", if gapless { "" } else { " (positions have gaps)" }));
    terminal.line(format!("  events    {events}"));
    let named: Vec<String> = categories.iter().map(|(category, count)| format!("{count} {category}")).collect();
    terminal.line(format!("  streams   {streams} ({})", named.join(", ")));
    terminal.line(format!("  size      {}", size(bytes)));
    for (name, behind) in lag {
        terminal.line(format!("  behind    {name}: {behind} events"));
    }
    Ok(())
}

struct Counted {
    head: Position,
    events: u64,
    streams: u64,
    bytes: u64,
    categories: BTreeMap<String, u64>,
    /// How many events each follower has still to take in.
    lag: BTreeMap<String, u64>,
}

async fn count(config: &Config, end: &End, terminal: &mut Terminal, with_followers: bool) -> Result<Counted, Failure> {
    let followers = if with_followers { followers(config, end).await? } else { BTreeMap::new() };
    let unreadable = "the journal cannot be read";
    let head = end.journal.head().await.context(unreadable)?;
    let mut counted = Counted {
        head,
        events: 0,
        streams: 0,
        bytes: 0,
        categories: BTreeMap::new(),
        lag: followers.keys().map(|name| (name.clone(), 0)).collect(),
    };
    let mut after = Position::START;
    loop {
        let page = end.journal.read_entries(after, PAGE).await.context(unreadable)?;
        let Some(last) = page.last() else { break };
        after = last.position;
        for entry in page.iter().filter(|entry| entry.position <= head) {
            counted.events += 1;
            counted.bytes += u64::try_from(entry.payload.len() + entry.metadata.len()).unwrap_or(0);
            if entry.revision == 0 {
                counted.streams += 1;
                *counted.categories.entry(entry.category.clone()).or_default() += 1;
            }
            for (name, position) in &followers {
                if entry.position > *position
                    && let Some(behind) = counted.lag.get_mut(name)
                {
                    *behind += 1;
                }
            }
        }
        terminal.status(&format!("  {} events", counted.events));
        if after >= head {
            break;
        }
    }
    terminal.clear_status();
    Ok(counted)
}

/// Where whoever follows the configured journal stands.
async fn followers(config: &Config, end: &End) -> Result<BTreeMap<String, Position>, Failure> {
    let own;
    let pool = match (&end.store, &config.database_url) {
        (Some(store), _) => &store.pool,
        (None, Some(url)) => {
            own = sqlx::PgPool::connect(url.reveal()).await.context("the read models' database cannot be reached")?;
            &own
        }
        // The private PostgreSQL is not started only to be asked how far its read models are.
        (None, None) => return Ok(BTreeMap::new()),
    };
    let queries = projections::Queries::new(pool.clone());
    let mut found = BTreeMap::new();
    for checkpoint in queries.checkpoints().await.context("the read models' checkpoints cannot be read")? {
        if checkpoint.slot == "live" {
            let position = Position::from_u64(u64::try_from(checkpoint.position).unwrap_or(0));
            found.insert(format!("read model {}", checkpoint.name), position);
        }
    }
    let engine = PostgresCheckpoints::new(pool.clone()).load(engine::Engine::CHECKPOINT).await;
    if let Some(checkpoint) = engine.context("the engine's checkpoint cannot be read")? {
        found.insert("engine checkpoint".to_owned(), checkpoint.position);
    }
    Ok(found)
}

/// What `hishamos journal copy` is asked for.
pub(crate) struct Copy {
    pub(crate) from: Option<String>,
    pub(crate) to: String,
    pub(crate) follow: bool,
    pub(crate) json: bool,
}

/// `hishamos journal copy`.
pub(crate) async fn copy(config: &Config, terminal: &mut Terminal, ask: Copy) -> Result<(), Failure> {
    let mut signals = Signals::listen()?;
    let from = End::open(config, ask.from.as_deref(), false).await?;
    let to = match End::open(config, Some(&ask.to), true).await {
        Ok(to) => to,
        Err(failure) => {
            from.close().await?;
            return Err(failure);
        }
    };
    let begun = Instant::now();
    let outcome = Box::pin(transfer(&from, &to, terminal, &ask, &mut signals)).await;
    terminal.clear_status();
    let (from_shown, to_shown) = (from.shown.clone(), to.shown.clone());
    from.close().await?;
    to.close().await?;
    let (progress, source, target) = outcome?;
    let sound = source.is_sound() && target.is_sound();
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let rate = progress.copied as f64 / begun.elapsed().as_secs_f64().max(0.001);
    if ask.json {
        let side = |shown: &str, report: &Report| {
            json!({
                "journal": shown,
                "events": report.events,
                "streams": report.streams,
                "position": report.position.to_string(),
                "faults": report.faults,
            })
        };
        terminal.json(&json!({
            "from": side(&from_shown, &source),
            "to": side(&to_shown, &target),
            "compared": progress.compared,
            "copied": progress.copied,
            "seconds": begun.elapsed().as_secs_f64(),
            "eventsPerSecond": rate,
            "sound": sound,
        }));
    } else {
        for finding in source.findings.iter().chain(&target.findings) {
            let glyph = terminal.paint(Style::Bad, "✗");
            terminal.line(format!("{glyph} {finding}"));
        }
        let (style, glyph) = if sound { (Style::Good, "✓") } else { (Style::Bad, "✗") };
        let glyph = terminal.paint(style, glyph);
        terminal.line(format!(
            "{glyph} {} events in {} streams are in {to_shown}; {} were there, {} copied in {} ({rate:.0} events/s)",
            target.events,
            target.streams,
            progress.compared,
            progress.copied,
            seconds(begun.elapsed()),
        ));
        if sound {
            terminal.line("  every chain holds on both sides");
        }
    }
    if sound { Ok(()) } else { Err(Failure::Damaged) }
}

async fn transfer(
    from: &End,
    to: &End,
    terminal: &mut Terminal,
    ask: &Copy,
    signals: &mut Signals,
) -> Result<(Progress, Report, Report), Failure> {
    let importer = to.importer().await?;
    let begun = Instant::now();
    let (source, target) = (Arc::clone(&from.journal), Arc::clone(&to.journal));
    let comparing = Transfer::begin(source, target, importer, |progress| {
        terminal.status(&format!("  comparing what is there: {} events", progress.compared));
    });
    let interrupted = || Failure::Infrastructure(anyhow!("interrupted; the same command goes on from here"));
    let mut transfer = tokio::select! {
        begun = comparing => begun.map_err(failed)?,
        () = signals.next() => return Err(interrupted()),
    };
    let start = transfer.progress().source;
    loop {
        let copied = tokio::select! {
            copied = transfer.step() => copied.map_err(failed)?,
            () = signals.next() => return Err(interrupted()),
        };
        if copied {
            terminal.status(&format!("  {}", line(&transfer.progress(), start, begun.elapsed())));
            continue;
        }
        if !ask.follow {
            break;
        }
        terminal.status(&format!("  caught up, {} events copied; Ctrl-C ends it", transfer.progress().copied));
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = signals.next() => {
                while transfer.step().await.map_err(failed)? {}
                break;
            }
        }
    }
    terminal.status("  checking every chain of the copy");
    let progress = transfer.progress();
    let (source, target) = transfer.finish().await.map_err(failed)?;
    Ok((progress, source, target))
}

fn failed(error: TransferError) -> Failure {
    match error {
        TransferError::NotPrefix(_) => {
            Failure::Refused { code: "JOURNAL_NOT_PREFIX".to_owned(), message: error.to_string() }
        }
        TransferError::Damaged(_) => {
            Failure::Refused { code: "JOURNAL_DAMAGED".to_owned(), message: error.to_string() }
        }
        other => Failure::Infrastructure(other.into()),
    }
}

/// Progress with rate and time left; how far it is follows from positions, whatever they count.
fn line(progress: &Progress, start: Position, elapsed: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let number = |value: u64| value as f64;
    let span = |from: Position, to: Position| number(to.as_u64().saturating_sub(from.as_u64()));
    let (done, all) = (span(start, progress.source), span(start, progress.source_head));
    let share = if all > 0.0 { (done / all).min(1.0) } else { 1.0 };
    let rate = number(progress.copied) / elapsed.as_secs_f64().max(0.001);
    let left = if share > 0.0 { elapsed.as_secs_f64() * (1.0 - share) / share } else { 0.0 };
    let left = seconds(Duration::try_from_secs_f64(left).unwrap_or_default());
    format!("{} events copied, {:.0} %, {rate:.0} events/s, {left} left", progress.copied, share * 100.0)
}

/// `hishamos journal switch`.
pub(crate) async fn switch(config: &Config, terminal: &mut Terminal, as_json: bool) -> Result<(), Failure> {
    if run::running_server(config, None).await.is_ok() {
        return Err(Failure::Refused {
            code: "SERVER_RUNNING".to_owned(),
            message: "a server runs on this data directory; stop it before its read models begin anew".to_owned(),
        });
    }
    let (store, _) = Store::open_any(config, true).await?;
    let head: Result<Position, ReadError> = store.journal.head().await;
    let switched = match head {
        Ok(_) => store.switch().await,
        Err(ref error) => Err(anyhow!("the journal cannot be read: {error}")),
    };
    store.close().await?;
    switched?;
    let head = head.context("the journal cannot be read")?;
    if as_json {
        terminal.json(&json!({ "switched": true, "head": head.to_string() }));
    } else {
        let glyph = terminal.paint(Style::Good, "✓");
        terminal
            .line(format!("{glyph} read models begin anew with the configured journal, which ends at position {head}"));
    }
    Ok(())
}

/// `1.4 MB`.
fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
    let bytes = bytes as f64;
    let mut value = bytes;
    let mut units = "B kB MB GB TB PB EB".split(' ');
    let mut unit = units.next().unwrap_or_default();
    while value >= 1000.0
        && let Some(larger) = units.next()
    {
        value /= 1000.0;
        unit = larger;
    }
    if bytes < 1000.0 { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_readable() {
        assert_eq!(size(999), "999 B");
        assert_eq!(size(1_400_000), "1.4 MB");
    }

    #[test]
    fn time_left_follows_from_positions() {
        let progress = Progress {
            compared: 0,
            copied: 300,
            source: Position::from_u64(400),
            source_head: Position::from_u64(1300),
            target: Position::START,
        };
        let text = line(&progress, Position::from_u64(100), Duration::from_secs(3));
        assert_eq!(text, "300 events copied, 25 %, 100 events/s, 9.00 s left");
    }

    #[test]
    fn an_empty_journal_is_copied_whole() {
        let text = line(&Progress::default(), Position::START, Duration::from_secs(1));
        assert!(text.contains("100 %"), "{text}");
    }
}
