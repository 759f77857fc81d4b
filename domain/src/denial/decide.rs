use std::convert::Infallible;

use crate::{DenialCommand, DenialEvent, Denials};

/// A denial is a fact when somebody reports it, so nothing refuses one.
pub(super) fn decide(_: &Denials, command: DenialCommand) -> Result<Vec<DenialEvent>, Infallible> {
    Ok(match command {
        DenialCommand::Record(denied) => vec![DenialEvent::Recorded(denied)],
        DenialCommand::Count(more) if more.is_nothing() => vec![],
        DenialCommand::Count(more) => vec![DenialEvent::Counted(more)],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::denial::{Denied, DeniedMore};
    use crate::{Decide, Timestamp};

    #[test]
    fn what_is_reported_is_recorded() {
        let at = Timestamp::from_micros(7);
        let denied = Denied { action: "startRun".to_owned(), on: None, code: "TOO_LARGE".to_owned(), from: None, at };
        let state = Denials::default();
        assert_eq!(state.decide(DenialCommand::Record(denied.clone())), Ok(vec![DenialEvent::Recorded(denied)]));
        let none = DeniedMore { since: at, until: at, counts: vec![], others: 0 };
        assert_eq!(state.decide(DenialCommand::Count(none.clone())), Ok(vec![]));
        let some = DeniedMore { others: 3, ..none };
        assert_eq!(state.decide(DenialCommand::Count(some.clone())), Ok(vec![DenialEvent::Counted(some)]));
    }
}
