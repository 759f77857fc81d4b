//! What happened in a simulation, line by line, for people.

use std::fmt;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// One line.
#[derive(Debug, Clone)]
pub struct Line {
    /// How long after the beginning.
    pub at: Duration,
    /// The node, the person or the part of the world.
    pub who: String,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>10.3} s  {:<10} {}", self.at.as_secs_f64(), self.who, self.what)
    }
}

/// What becomes of the lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// Nothing; none is made.
    Nothing,
    /// They are kept for the report.
    Kept,
    /// They are printed at once, so that a world that never ends can be watched.
    Printed,
}

/// Takes the lines, when they are wanted.
pub(crate) struct Trace {
    origin: Instant,
    telling: Telling,
    lines: Mutex<Vec<Line>>,
}

impl Trace {
    pub(crate) fn new(origin: Instant, telling: Telling) -> Self {
        Self { origin, telling, lines: Mutex::default() }
    }

    pub(crate) fn note(&self, who: &str, what: impl FnOnce() -> String) {
        if self.telling == Telling::Nothing {
            return;
        }
        let line = Line { at: self.origin.elapsed(), who: who.to_owned(), what: what() };
        if self.telling == Telling::Printed {
            print(&line);
        } else {
            self.lines.lock().push(line);
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.origin.elapsed()
    }

    pub(crate) fn take(&self) -> Vec<Line> {
        std::mem::take(&mut *self.lines.lock())
    }
}

#[expect(clippy::print_stdout, reason = "that is what was asked for")]
fn print(line: &Line) {
    println!("{line}");
}
