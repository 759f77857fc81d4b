//! How good the choice of templates is, measured by requests of which it is known what should be found.

use std::str::FromStr;

use domain::{InvalidKey, Key};

use crate::library::Found;

/// A request, and the templates that would be right for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What somebody asks for.
    pub request: String,
    /// The templates of which each would be right.
    pub accepted: Vec<Key>,
}

/// A line that is no question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuestionError {
    /// It has no tab.
    #[error("line {line}: write the keys of the right templates, separated by commas, a tab, and the request")]
    NoTab {
        /// Which line, from 1.
        line: usize,
    },
    /// A key is none.
    #[error("line {line}: {source}")]
    Key {
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        source: InvalidKey,
    },
    /// There is no request.
    #[error("line {line}: the request is missing")]
    NoRequest {
        /// Which line, from 1.
        line: usize,
    },
}

impl Question {
    /// Reads questions: one a line, the keys of the right templates separated by commas, a tab, the request. Empty lines
    /// and lines that begin with `#` are passed over.
    ///
    /// # Errors
    /// At the first line that is something else.
    pub fn read(text: &str) -> Result<Vec<Self>, QuestionError> {
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        lines.map(|(number, line)| Self::of_line(number, line)).collect()
    }

    fn of_line(line: usize, text: &str) -> Result<Self, QuestionError> {
        let (keys, request) = text.split_once('\t').ok_or(QuestionError::NoTab { line })?;
        if request.trim().is_empty() {
            return Err(QuestionError::NoRequest { line });
        }
        let keys = keys.split(',').map(|key| Key::from_str(key.trim()));
        let accepted: Result<Vec<Key>, InvalidKey> = keys.collect();
        let accepted = accepted.map_err(|source| QuestionError::Key { line, source })?;
        Ok(Self { request: request.trim().to_owned(), accepted })
    }

    /// Whether it belongs to the half by which weights may be tuned; the other half is for measuring. Decided by the
    /// bytes of the request (FNV-1a), so it is a matter of chance, but the same for everybody and for ever.
    #[must_use]
    pub fn is_for_tuning(&self) -> bool {
        let hash = self
            .request
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        // The high bits are mixed best.
        hash >> 63 == 0
    }

    /// The place of the first right template among those found, from 1; nothing when none is among them.
    #[must_use]
    pub fn place(&self, found: &[Found]) -> Option<usize> {
        found.iter().position(|found| self.accepted.contains(&found.key)).map(|index| index + 1)
    }

    /// Whether it is asked in Arabic.
    #[must_use]
    pub fn is_arabic(&self) -> bool {
        crate::words::mostly_arabic(&self.request)
    }
}

#[cfg(test)]
#[expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_a_line() {
        let questions = Question::read("# notes\n\na-b, c\thelp me\nd\tساعدني من فضلك\n").expect("questions");
        assert_eq!(questions.len(), 2);
        assert_eq!(questions[0].request, "help me");
        assert_eq!(questions[0].accepted.iter().map(Key::as_str).collect::<Vec<_>>(), ["a-b", "c"]);
        assert!(!questions[0].is_arabic() && questions[1].is_arabic());
    }

    #[test]
    fn a_line_that_is_no_question_is_named() {
        assert_eq!(Question::read("a\tb\nrubbish"), Err(QuestionError::NoTab { line: 2 }));
        assert!(matches!(Question::read("A B\trequest"), Err(QuestionError::Key { line: 1, .. })));
        assert!(matches!(
            Question::read("\n a\t \n"),
            Err(QuestionError::NoTab { line: 2 } | QuestionError::NoRequest { line: 2 })
        ));
    }

    #[test]
    fn about_half_is_for_tuning() {
        let questions = (0..1000).map(|number| Question { request: format!("request {number}"), accepted: Vec::new() });
        let tuning = questions.filter(Question::is_for_tuning).count();
        assert!((350..650).contains(&tuning), "{tuning}");
    }
}
