//! Every lasting connection is an open file, of which the system allows a process only so many.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What everything else needs: connections to the database, requests, files.
const RESERVE: u64 = 512;

/// Asks the system for as many open files as that many lasting connections need, and answers how many there may be:
/// fewer when it does not allow as much.
pub(crate) fn make_room(connections: usize) -> usize {
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(RESERVE);
    let now = getrlimit(Resource::Nofile);
    let enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= wanted);
    let mut current = now.current;
    if !enough(current) {
        let raised = if enough(now.maximum) { Some(wanted) } else { now.maximum };
        if setrlimit(Resource::Nofile, Rlimit { current: raised, maximum: now.maximum }).is_ok() {
            current = raised;
        }
    }
    let Some(current) = current.filter(|current| *current < wanted) else { return connections };
    let room = usize::try_from(current.saturating_sub(RESERVE)).unwrap_or(usize::MAX).max(1);
    tracing::info!(
        open_files = current,
        connections = room,
        "fewer lasting connections than configured, by the system's limit"
    );
    room
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_the_system_allows() {
        let maximum = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        assert_eq!(make_room(1), 1);
        let most = make_room(usize::MAX);
        if maximum < u64::MAX {
            assert_eq!(u64::try_from(most).ok(), Some(maximum.saturating_sub(RESERVE).max(1)));
            assert_eq!(getrlimit(Resource::Nofile).current, Some(maximum));
        }
    }
}
