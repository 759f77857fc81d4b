use super::{Action, ActionCommand, ActionEvent, Standing, day_of};
use crate::Refusal;

/// The longest name of an owner, in characters.
pub const MAX_OWNER: usize = 200;
/// The longest note, in characters.
pub const MAX_NOTE: usize = 4000;

/// Why an action item refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionRefusal {
    /// It cannot be so.
    #[error("the action item cannot be changed so: {0}")]
    Invalid(String),
}

impl Refusal for ActionRefusal {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "ACTION_INVALID",
        }
    }
}

pub(super) fn decide(known: &Action, command: ActionCommand) -> Result<Vec<ActionEvent>, ActionRefusal> {
    let ActionCommand::Change { asked, state, owner, due, note, by, now } = command;
    let before = known.standing().cloned().unwrap_or_else(|| Standing::opened(&asked.item));
    let standing = Standing {
        state: state.unwrap_or(before.state),
        owner: checked("owner", owner, MAX_OWNER, false)?.unwrap_or_else(|| before.owner.clone()),
        due: match due {
            Some(Some(due)) if day_of(&due).is_none() => {
                let due: String = due.chars().take(40).collect();
                return Err(ActionRefusal::Invalid(format!("`due` must be a date such as 2026-12-31, not `{due}`")));
            }
            Some(due) => due,
            None => before.due.clone(),
        },
        note: checked("note", note, MAX_NOTE, true)?.unwrap_or_else(|| before.note.clone()),
    };
    if standing == before {
        return Ok(vec![]);
    }
    let (run, task, number) = (asked.run, asked.id.task, asked.id.number);
    let Standing { state, owner, due, note } = standing;
    Ok(vec![ActionEvent::Changed { run, task, number, state, owner, due, note, by, at: now }])
}

/// A text that somebody gives, or takes away.
fn checked(
    name: &str,
    given: Option<Option<String>>,
    most: usize,
    lines: bool,
) -> Result<Option<Option<String>>, ActionRefusal> {
    let Some(Some(text)) = &given else { return Ok(given) };
    let length = text.chars().count();
    if text.trim().is_empty() || length > most {
        return Err(ActionRefusal::Invalid(format!("`{name}` must have 1 to {most} characters, or be taken away")));
    }
    if text.chars().any(|c| c.is_control() && !(lines && matches!(c, '\n' | '\t'))) {
        return Err(ActionRefusal::Invalid(format!("`{name}` must have no control characters")));
    }
    Ok(given)
}
