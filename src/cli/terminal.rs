//! Writing for people: colours where they are wanted, and one line at the bottom that shows what is under way.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use serde::Serialize;

/// How something is to be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Success.
    Good,
    /// Failure.
    Bad,
    /// Deserves attention.
    Warn,
    /// Less important.
    Dim,
    /// A heading.
    Strong,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Bad => "31",
            Self::Warn => "33",
            Self::Dim => "2",
            Self::Strong => "1",
        }
    }
}

/// Standard output. A closed pipe on the other side is not an error of ours, so failed writes are let go.
#[derive(Debug)]
pub(crate) struct Terminal {
    colour: bool,
    interactive: bool,
    status: bool,
}

impl Terminal {
    /// Colours and a status line only on a terminal; no colours when `NO_COLOR` is set (no-color.org).
    pub(crate) fn new() -> Self {
        let interactive = std::io::stdout().is_terminal();
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: interactive && !refused, interactive, status: false }
    }

    /// Whether a person looks on, and a line may be rewritten.
    pub(crate) fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// The text in a style.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        if self.colour { format!("\x1b[{}m{text}\x1b[0m", style.code()) } else { text.to_owned() }
    }

    /// Writes a line.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) {
        self.clear_status();
        let mut out = std::io::stdout().lock();
        let _ = writeln!(out, "{}", text.as_ref());
    }

    /// Shows what is under way, below everything else; only on a terminal.
    pub(crate) fn status(&mut self, text: &str) {
        if !self.interactive {
            return;
        }
        let mut out = std::io::stdout().lock();
        let _ = write!(out, "\r\x1b[2K{text}");
        let _ = out.flush();
        self.status = true;
    }

    /// Takes the status line away.
    pub(crate) fn clear_status(&mut self) {
        if self.status {
            let mut out = std::io::stdout().lock();
            let _ = write!(out, "\r\x1b[2K");
            let _ = out.flush();
            self.status = false;
        }
    }

    /// Writes a value as indented JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) {
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.line(text),
            Err(error) => tracing::error!(%error, "an answer cannot be written as JSON"),
        }
    }
}

/// `0.34 s`, `12.3 s`, `4 min 05 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds < 10.0 {
        format!("{seconds:.2} s")
    } else if seconds < 120.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{} min {:02} s", duration.as_secs() / 60, duration.as_secs() % 60)
    }
}

/// At most `width` characters, with `…` for what was cut.
pub(crate) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

/// Control characters could drive the terminal, so texts from models lose them, except line breaks and tabs.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || *c == '\n' || *c == '\t').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_readable() {
        assert_eq!(seconds(Duration::from_millis(344)), "0.34 s");
        assert_eq!(seconds(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(seconds(Duration::from_secs(245)), "4 min 05 s");
    }

    #[test]
    fn texts_cannot_drive_the_terminal() {
        assert_eq!(printable("a\x1b[2Jb\nc\r"), "a[2Jb\nc");
        assert_eq!(cut("abcdef", 4), "abc…");
    }
}
