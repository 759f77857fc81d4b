//! How much goes wrong, and where.

use parking_lot::RwLock;

use crate::dice::Dice;

/// How often, in a thousand times, what goes wrong. Each seed has its own weather, so that some worlds are calm in one
/// respect and stormy in another.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rates {
    /// An answer of the journal takes up to seconds.
    pub(crate) slow: u64,
    /// The journal says that it failed, and nothing was recorded.
    pub(crate) unavailable: u64,
    /// The journal cannot say whether something was recorded.
    pub(crate) unclear: u64,
    /// A read fails.
    pub(crate) unreadable: u64,
    /// A process dies at an append, just before it or just after it.
    pub(crate) deadly: u64,
    /// A call to a platform fails in a way that may pass.
    pub(crate) passing: u64,
    /// A call to a platform fails for good.
    pub(crate) final_failure: u64,
    /// A platform never answers.
    pub(crate) hanging: u64,
    /// A platform's adapter panics.
    pub(crate) panicking: u64,
    /// A subscription lags by seconds.
    pub(crate) lagging: u64,
}

pub(crate) struct Weather(RwLock<Rates>);

impl Weather {
    /// Clear until the storm begins.
    pub(crate) fn clear() -> Self {
        Self(RwLock::default())
    }

    pub(crate) fn now(&self) -> Rates {
        *self.0.read()
    }

    /// Draws the weather of a world.
    pub(crate) fn storm(&self, dice: &Dice) {
        let chance = |often: u64, most: u64| if dice.permille(often) { dice.between(1, most) } else { 0 };
        *self.0.write() = Rates {
            slow: chance(600, 60),
            unavailable: chance(600, 80),
            unclear: chance(600, 60),
            unreadable: chance(500, 40),
            deadly: chance(500, 15),
            passing: chance(800, 250),
            final_failure: chance(600, 60),
            hanging: chance(400, 60),
            panicking: chance(300, 40),
            lagging: chance(600, 100),
        };
    }

    /// The journal works again; platforms stay as they are.
    pub(crate) fn calm(&self) {
        let mut rates = self.0.write();
        let Rates { passing, final_failure, hanging, panicking, .. } = *rates;
        *rates = Rates { passing, final_failure, hanging, panicking, ..Rates::default() };
    }
}
