//! Limits of platforms in Redis, where all nodes share them.
//!
//! One script takes a call or says how long it has to wait, by Redis' own clock, so it makes no difference how the clocks of nodes
//! stand; the formula is the engine's. A call that is under way is a lease that ends by itself, so a node that dies gives back what
//! it held.
//!
//! Invariants: no attempt waits for Redis longer than a moment: while it does not answer, each node keeps to the limits by itself, which
//! is said in the log once and counted. Nothing in there names a key.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use engine::{PlatformLimits, Rate, SharedCall, SharedLimits, SharedTurn};
use redis::aio::ConnectionManager;
use redis::{Cmd, FromRedisValue};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::answers::{self, PATIENCE};
use crate::config::DatabaseUrl;

/// What the names of keys begin with.
const PREFIX: &str = "hishamos:limit:1:";
/// A call that is under way beyond its time is given up by then.
const GRACE: Duration = Duration::from_secs(30);
/// After Redis has not answered it is left alone for so long.
const LEFT_ALONE: Duration = Duration::from_secs(2);

/// `KEYS`: levels, calls under way, a pause that was asked for. `ARGV`: how many calls at once (0: any number), the call, how long it may
/// take in ms, its tokens, then capacity and filling in a millisecond of the bucket of calls and of that of tokens (0: none). Answers
/// 1 and 0 when the call is taken, 0 and how many ms to wait when it is not.
const TAKE: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('PTTL', KEYS[3])
if held > 0 then return {0, held} end
local at_once = tonumber(ARGV[1])
if at_once > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  if redis.call('ZCARD', KEYS[2]) >= at_once then return {0, 50} end
end
local kept = redis.call('HMGET', KEYS[1], 'calls', 'tokens', 'at')
local passed = math.max(0, now - (tonumber(kept[3]) or now))
local function level(kept, capacity, per_ms) return math.min(capacity, (tonumber(kept) or capacity) + passed * per_ms) end
local function wait(level, needed, per_ms) return level < needed and math.ceil((needed - level) / per_ms) or 0 end
local calls_cap, calls_per_ms = tonumber(ARGV[5]), tonumber(ARGV[6])
local tokens_cap, tokens_per_ms = tonumber(ARGV[7]), tonumber(ARGV[8])
local amount = tonumber(ARGV[4])
local calls, tokens = level(kept[1], calls_cap, calls_per_ms), level(kept[2], tokens_cap, tokens_per_ms)
local longest = 0
if calls_cap > 0 then longest = wait(calls, 1, calls_per_ms) end
if tokens_cap > 0 then longest = math.max(longest, wait(tokens, math.min(amount, tokens_cap), tokens_per_ms)) end
if longest > 0 then return {0, longest} end
if calls_cap > 0 then calls = calls - 1 end
if tokens_cap > 0 then tokens = tokens - amount end
redis.call('HSET', KEYS[1], 'calls', string.format('%.6f', calls), 'tokens', string.format('%.6f', tokens), 'at', now)
redis.call('PEXPIRE', KEYS[1], 3600000)
if at_once > 0 then
  redis.call('ZADD', KEYS[2], now + ARGV[3], ARGV[2])
  redis.call('PEXPIRE', KEYS[2], math.max(redis.call('PTTL', KEYS[2]), tonumber(ARGV[3])))
end
return {1, 0}
";

/// `KEYS`: levels, calls under way. `ARGV`: the call, how many tokens it did not use after all (negative when it used more).
const GIVE_BACK: &str = "
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('HEXISTS', KEYS[1], 'tokens') == 1 then redis.call('HINCRBYFLOAT', KEYS[1], 'tokens', ARGV[2]) end
return 1
";

/// The place; cheap to clone.
#[derive(Clone)]
pub(crate) struct RedisLimits {
    shared: Arc<Shared>,
    told: mpsc::UnboundedSender<Cmd>,
    /// Ends with the last clone.
    _telling: Arc<JoinSet<()>>,
}

struct Shared {
    manager: ConnectionManager,
    /// Where, without what is secret.
    shown: String,
    works: AtomicBool,
    /// In milliseconds since `begun`: when it may be asked again after it did not answer.
    again: AtomicU64,
    begun: tokio::time::Instant,
}

impl RedisLimits {
    /// Connects when it is first needed, and again whenever it has to; within a runtime.
    ///
    /// # Errors
    /// When the URL is none of Redis.
    pub(crate) fn new(url: &DatabaseUrl) -> anyhow::Result<Self> {
        let manager = answers::manager(url)?;
        let (works, again, begun) = (AtomicBool::new(true), AtomicU64::new(0), tokio::time::Instant::now());
        let shared = Arc::new(Shared { manager, shown: url.masked(), works, again, begun });
        let (told, mut to_tell) = mpsc::unbounded_channel::<Cmd>();
        let mut telling = JoinSet::new();
        telling.spawn({
            let shared = Arc::clone(&shared);
            async move {
                while let Some(command) = to_tell.recv().await {
                    // What cannot be told ends by itself.
                    let _: Option<i64> = shared.ask(&command).await;
                }
            }
        });
        Ok(Self { shared, told, _telling: Arc::new(telling) })
    }

    fn tell(&self, command: Cmd) {
        // Only while everything ends is nobody there to tell it.
        let _ = self.told.send(command);
    }
}

impl Shared {
    /// Asks it, in time; nothing when it does not answer, and not even asked when it did not a moment ago.
    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Option<T> {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now < self.again.load(Ordering::Relaxed) {
            return None;
        }
        let mut manager = self.manager.clone();
        let failed = match tokio::time::timeout(PATIENCE, command.query_async(&mut manager)).await {
            Ok(Ok(done)) => {
                if !self.works.swap(true, Ordering::Relaxed) {
                    tracing::info!(redis = self.shown, "limits of platforms are shared by Redis again");
                }
                metrics::gauge!("hishamos_shared_limits_up").set(1.0);
                return Some(done);
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {PATIENCE:?}"),
        };
        self.again.store(now.saturating_add(millis(LEFT_ALONE)), Ordering::Relaxed);
        metrics::gauge!("hishamos_shared_limits_up").set(0.0);
        if self.works.swap(false, Ordering::Relaxed) {
            let said = "Redis does not answer, so each node keeps to the limits of platforms by itself";
            tracing::warn!(redis = self.shown, error = failed, "{said}");
        }
        None
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The keys of an account; in a cluster they lie on one node.
fn names(account: &str) -> [String; 3] {
    ["levels", "calls", "pause"].map(|name| format!("{PREFIX}{{{account}}}:{name}"))
}

impl fmt::Debug for RedisLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisLimits({})", self.shared.shown)
    }
}

#[async_trait]
impl SharedLimits for RedisLimits {
    async fn admit(&self, limits: &PlatformLimits, tokens: u64, longest: Duration) -> SharedTurn {
        let none = Rate { capacity: 0.0, per_ms: 0.0 };
        let (calls, used) = (limits.requests().unwrap_or(none), limits.tokens().unwrap_or(none));
        let call = SharedCall { account: limits.account.clone(), id: Uuid::new_v4().as_u128(), tokens };
        let [levels, under_way, pause] = names(&call.account);
        let mut take = redis::cmd("EVAL");
        take.arg(TAKE).arg(3).arg(levels).arg(under_way).arg(pause);
        take.arg(limits.at_once.unwrap_or(0))
            .arg(format!("{:032x}", call.id))
            .arg(millis(longest.saturating_add(GRACE)));
        take.arg(tokens).arg(calls.capacity).arg(calls.per_ms).arg(used.capacity).arg(used.per_ms);
        let (turn, outcome) = match self.shared.ask::<(i64, i64)>(&take).await {
            Some((1, _)) => (SharedTurn::Go(call), "go"),
            Some((_, wait)) => {
                (SharedTurn::After(Duration::from_millis(u64::try_from(wait).unwrap_or(0).max(1))), "wait")
            }
            None => (SharedTurn::Away, "away"),
        };
        metrics::counter!("hishamos_shared_limits_total", "outcome" => outcome).increment(1);
        turn
    }

    fn release(&self, call: SharedCall, used: Option<u64>) {
        let [levels, under_way, _] = names(&call.account);
        let back = used.map_or(0, |used| i128::from(call.tokens) - i128::from(used));
        let mut give = redis::cmd("EVAL");
        give.arg(GIVE_BACK).arg(2).arg(levels).arg(under_way).arg(format!("{:032x}", call.id)).arg(back.to_string());
        self.tell(give);
    }

    fn hold(&self, account: &str, pause: Duration) {
        let [_, _, name] = names(account);
        // A shorter pause never ends a longer one.
        let script = "if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], '1', 'PX', ARGV[1]) end return 1";
        let mut hold = redis::cmd("EVAL");
        hold.arg(script).arg(1).arg(name).arg(millis(pause).max(1));
        self.tell(hold);
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test fails by panicking")]
mod tests {
    use testkit::RedisServer;

    use super::*;

    /// Two nodes at one Redis; nothing where it is not installed.
    fn nodes() -> Option<(RedisServer, [RedisLimits; 2])> {
        let Some(redis) = RedisServer::start() else {
            eprintln!("skipped: there is no redis-server; `./dev test` installs it");
            return None;
        };
        let node = || RedisLimits::new(&DatabaseUrl::new(redis.url())).unwrap();
        let nodes = [node(), node()];
        Some((redis, nodes))
    }

    fn limits(account: &str) -> PlatformLimits {
        PlatformLimits { account: account.to_owned(), ..PlatformLimits::default() }
    }

    const LONGEST: Duration = Duration::from_secs(60);

    /// Asks until the call may be made; how often it had to wait.
    async fn go(node: &RedisLimits, limits: &PlatformLimits, tokens: u64) -> (SharedCall, u32) {
        let mut waits = 0;
        loop {
            match node.admit(limits, tokens, LONGEST).await {
                SharedTurn::Go(call) => return (call, waits),
                SharedTurn::After(wait) => {
                    waits += 1;
                    tokio::time::sleep(wait).await;
                }
                SharedTurn::Away => panic!("Redis is away"),
            }
        }
    }

    fn is_wait(turn: &SharedTurn, least: u64, most: u64) -> bool {
        matches!(turn, SharedTurn::After(wait) if (least..=most).contains(&millis(*wait)))
    }

    #[tokio::test]
    async fn calls_of_all_nodes_come_out_of_one_bucket_of_their_account() {
        let Some((_redis, [one, other])) = nodes() else { return };
        // 1 of these every 60 s, so that a slow machine makes no difference.
        let single = PlatformLimits { requests_per_minute: Some(1), ..limits("a") };
        go(&one, &single, 0).await;
        assert!(is_wait(&other.admit(&single, 0, LONGEST).await, 1, 60_000));
        let another = PlatformLimits { account: "b".to_owned(), ..single };
        go(&other, &another, 0).await;
        // 10 at once, and one more in a good second.
        let many = PlatformLimits { requests_per_minute: Some(60), ..limits("c") };
        let mut waits = 0;
        for _ in 0..6 {
            waits += go(&one, &many, 0).await.1;
            waits += go(&other, &many, 0).await.1;
        }
        assert!(waits > 0, "twelve calls do not fit into ten seconds' worth");
    }

    #[tokio::test]
    async fn tokens_that_were_not_used_are_given_back_to_everybody() {
        let Some((_redis, [one, other])) = nodes() else { return };
        let limits = PlatformLimits { tokens_per_minute: Some(600), ..limits("a") };
        let (call, _) = go(&one, &limits, 100).await;
        assert!(is_wait(&other.admit(&limits, 100, LONGEST).await, 1, 12_000));
        one.release(call, Some(0));
        // What was told is told a moment later.
        let (call, _) = go(&other, &limits, 100).await;
        other.release(call, Some(400));
        // Of 300 more than were expected, at 500 a minute.
        loop {
            match one.admit(&limits, 1, LONGEST).await {
                turn if is_wait(&turn, 20_000, 40_000) => break,
                SharedTurn::After(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn calls_under_way_are_counted_together_until_they_end_or_their_time_does() {
        let Some((_redis, [one, other])) = nodes() else { return };
        let limits = PlatformLimits { at_once: Some(2), ..limits("a") };
        let (first, _) = go(&one, &limits, 0).await;
        go(&other, &limits, 0).await;
        for node in [&one, &other] {
            assert!(is_wait(&node.admit(&limits, 0, LONGEST).await, 50, 50));
        }
        one.release(first, None);
        go(&other, &limits, 0).await;
        // What a dead node held ends by itself: here it has no time at all beyond the grace, which passes in Redis' own clock.
        let mut connection = one.shared.manager.clone();
        let [_, under_way, _] = names("a");
        let held: Vec<(String, f64)> = redis::cmd("ZRANGE")
            .arg(&under_way)
            .arg(0)
            .arg(-1)
            .arg("WITHSCORES")
            .query_async(&mut connection)
            .await
            .unwrap();
        assert_eq!(held.len(), 2);
        for (call, _) in held {
            let _: i64 =
                redis::cmd("ZADD").arg(&under_way).arg(1).arg(call).query_async(&mut connection).await.unwrap();
        }
        assert!(matches!(one.admit(&limits, 0, LONGEST).await, SharedTurn::Go(_)));
    }

    #[tokio::test]
    async fn a_pause_that_one_node_was_asked_for_is_made_by_all() {
        let Some((_redis, [one, other])) = nodes() else { return };
        let limits = PlatformLimits { requests_per_minute: Some(600), ..limits("a") };
        one.hold("a", Duration::from_secs(50));
        one.hold("a", Duration::from_secs(10));
        loop {
            match other.admit(&limits, 0, LONGEST).await {
                turn if is_wait(&turn, 30_000, 50_000) => break,
                SharedTurn::Away => panic!("Redis is away"),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    }

    #[tokio::test]
    async fn without_redis_nobody_is_held_up() {
        let Some((mut redis, [one, _other])) = nodes() else { return };
        let limits = PlatformLimits { at_once: Some(1), ..limits("a") };
        let (call, _) = go(&one, &limits, 0).await;
        redis.kill();
        assert_eq!(one.admit(&limits, 0, LONGEST).await, SharedTurn::Away);
        assert!(!one.shared.works.load(Ordering::Relaxed));
        one.release(call, Some(1));
        assert_eq!(one.admit(&limits, 0, LONGEST).await, SharedTurn::Away, "it is not even asked again at once");
        assert!(!format!("{one:?}").contains(RedisServer::PASSWORD));
    }
}
