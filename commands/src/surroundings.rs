//! Where the present moment, new ids and chance come from: rules never make them, and a simulation makes them from a
//! seed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use domain::Timestamp;
use uuid::Uuid;

/// The clock and the dice of one process.
pub trait Surroundings: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;

    /// A new id, never given before, that sorts by time.
    fn new_id(&self) -> Uuid;

    /// Chance: 0 to 1000.
    fn chance_milli(&self) -> u16;
}

/// The system's clock and random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealSurroundings;

impl Surroundings for RealSurroundings {
    fn now(&self) -> Timestamp {
        now()
    }

    fn new_id(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn chance_milli(&self) -> u16 {
        // Version 7 ends in 62 random bits; a pause needs no better chance.
        u16::try_from(Uuid::new_v4().as_u128() % 1001).unwrap_or(0)
    }
}

/// Surroundings for simulations: time is tokio's, which a test can stop and wind on, and everything else follows from a
/// seed.
#[derive(Debug)]
pub struct SeededSurroundings {
    origin: tokio::time::Instant,
    /// SplitMix64, see Steele, Lea, Flood: "Fast splittable pseudorandom number generators", OOPSLA 2014.
    state: AtomicU64,
}

impl SeededSurroundings {
    /// The moment at which every simulation begins: 2026-01-01T00:00:00Z.
    const BEGIN: i64 = 1_767_225_600_000_000;

    /// Begins now, in tokio's time, so all nodes of a simulation must share one origin.
    #[must_use]
    pub fn new(origin: tokio::time::Instant, seed: u64) -> Self {
        Self { origin, state: AtomicU64::new(seed) }
    }

    /// 64 bits of chance.
    pub fn random(&self) -> u64 {
        let mut mixed =
            self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Surroundings for SeededSurroundings {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(Self::BEGIN).plus(self.origin.elapsed())
    }

    fn new_id(&self) -> Uuid {
        let millis = u64::try_from(self.now().as_micros() / 1000).unwrap_or(0);
        let mut random = [0; 10];
        random
            .iter_mut()
            .zip(self.random().to_le_bytes().into_iter().chain(self.random().to_le_bytes()))
            .for_each(|(to, from)| *to = from);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    fn chance_milli(&self) -> u16 {
        u16::try_from(self.random() % 1001).unwrap_or(0)
    }
}

/// The present moment, by the system's clock.
#[must_use]
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
