use std::convert::Infallible;

use crate::{Subject, SubjectCommand, SubjectEvent};

/// The key is gone already when this is asked, so there is nothing to refuse.
pub(super) fn decide(state: &Subject, command: SubjectCommand) -> Result<Vec<SubjectEvent>, Infallible> {
    let SubjectCommand::Erase { by, now } = command;
    Ok(if state.is_erased() { vec![] } else { vec![SubjectEvent::Erased { by, at: now }] })
}

#[cfg(test)]
mod tests {
    use cqrs_es::Aggregate;

    use super::*;
    use crate::{Actor, Decide, Timestamp};

    #[test]
    fn a_subject_is_erased_once() {
        let (by, at) = (Actor::person("ada"), Timestamp::from_micros(1));
        let erase = SubjectCommand::Erase { by: by.clone(), now: at };
        let erased = SubjectEvent::Erased { by, at };
        let mut state = Subject::default();
        assert_eq!(state.decide(erase.clone()), Ok(vec![erased.clone()]));
        state.apply(erased);
        assert_eq!(state.decide(erase), Ok(vec![]));
    }
}
