//! Appends that are decided upon what others will leave behind, before these are recorded.

use std::sync::Arc;

use domain::StreamId;
use journal::{Append, AppendError, Appended, Expected, Journal, Ticket, Turn};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::{conformance, everything};
use crate::sample::{agent, append, part, parts, remembered, task, text_of};

conformance!(
    records_in_turn_what_is_based_on_what_is_under_way,
    refuses_what_is_based_on_an_append_whose_place_another_took,
    refuses_what_is_based_on_what_was_never_recorded,
    tells_apart_what_each_of_several_streams_is_based_on,
    takes_the_repetition_of_a_command_for_no_basis,
);

/// Hands appends in, one as soon as the one before has its place.
struct Queue {
    journal: Arc<dyn Journal>,
    turns: Arc<Mutex<()>>,
}

type Asked = JoinHandle<Result<Appended, AppendError>>;

impl Queue {
    fn of(journal: &Arc<dyn Journal>) -> Self {
        Self { journal: Arc::clone(journal), turns: Arc::default() }
    }

    /// An append that is based on others, by stream.
    async fn put(&self, append: Append, based_on: &[(StreamId, &Ticket)]) -> (Ticket, Asked) {
        let mut turn = Turn::new().holding(Arc::clone(&self.turns).lock_owned().await);
        for (stream, ticket) in based_on {
            turn = turn.based_on(*stream, (*ticket).clone());
        }
        let (journal, ticket) = (Arc::clone(&self.journal), turn.ticket());
        (ticket, tokio::spawn(async move { journal.append_in_turn(append, turn).await }))
    }
}

/// Nothing but these, in this order.
async fn holds(journal: &dyn Journal, stream: StreamId, wanted: &[&str]) {
    let recorded = journal.read_stream(stream, 0, 1000).await.unwrap();
    let texts: Vec<&str> = recorded.iter().map(|event| text_of(event.event().unwrap())).collect();
    assert_eq!(texts, wanted);
}

fn is_unfounded(done: &Result<Appended, AppendError>, at: StreamId) {
    match done {
        Err(error @ AppendError::Unfounded { stream }) => assert_eq!((*stream, error.conflict()), (at, Some(at))),
        other => panic!("{other:?}"),
    }
}

/// Whoever gets their turn when the one before has their place, may build on what that one leaves behind.
async fn records_in_turn_what_is_based_on_what_is_under_way(journal: Arc<dyn Journal>) {
    let (stream, queue) = (agent(), Queue::of(&journal));
    let (mut asked, mut last): (Vec<Asked>, Option<Ticket>) = (Vec::new(), None);
    for revision in 0..100 {
        let expected = if revision == 0 { Expected::NoStream } else { Expected::Exact(revision - 1) };
        // A stream of its own besides, as every attempt has one.
        let both = parts(vec![part(task(), Expected::NoStream, &["mine"]), part(stream, expected, &["ours"])]);
        let based_on: Vec<_> = last.iter().map(|ticket| (stream, ticket)).collect();
        let (ticket, done) = queue.put(both, &based_on).await;
        asked.push(done);
        last = Some(ticket);
    }
    for asked in asked {
        asked.await.unwrap().unwrap();
    }
    // What is recorded stays a basis, and is none for what expects something else.
    let last = last.unwrap();
    assert!(!last.has_failed());
    let (late, done) = queue.put(append(stream, Expected::NoStream, &["late"]), &[(stream, &last)]).await;
    assert!(matches!(done.await.unwrap(), Err(AppendError::Conflict { actual: Some(99), .. })));
    assert!(late.has_failed());
    let (_, done) = queue.put(append(stream, Expected::Exact(99), &["ours"]), &[(stream, &last)]).await;
    done.await.unwrap().unwrap();
    // One that fails lets the next one go on, too.
    drop(queue.turns.lock().await);
    assert_eq!(journal.read_stream(stream, 0, 1000).await.unwrap().len(), 101);
}

/// The revision is what was expected, and holds what somebody else has recorded.
async fn refuses_what_is_based_on_an_append_whose_place_another_took(journal: Arc<dyn Journal>) {
    let (ours, queue) = (agent(), Queue::of(&journal));
    journal.append(append(ours, Expected::NoStream, &["before"])).await.unwrap();
    let mut wanted = vec!["before"];
    for round in 0..20 {
        // Something long goes before, so that all that follows may be in one commit.
        let (_, long) = queue.put(append(agent(), Expected::NoStream, &["x"; 200]), &[]).await;
        let wrong =
            parts(vec![part(task(), Expected::Exact(7), &["mine"]), part(ours, Expected::Exact(2 * round), &["lost"])]);
        let (lost, first) = queue.put(wrong, &[]).await;
        let (_, foreign) = queue.put(append(ours, Expected::Exact(2 * round), &["foreign"]), &[]).await;
        let own = task();
        let both = |own| {
            parts(vec![part(own, Expected::NoStream, &["mine"]), part(ours, Expected::Exact(2 * round + 1), &["no"])])
        };
        let (next, second) = queue.put(both(own), &[(ours, &lost)]).await;
        let after = append(ours, Expected::Exact(2 * round + 2), &["nor this"]);
        let (_, third) = queue.put(after, &[(ours, &next)]).await;
        // Who has read it may go on from there.
        let (_, read) = queue.put(append(ours, Expected::Exact(2 * round + 1), &["after"]), &[]).await;
        long.await.unwrap().unwrap();
        assert!(matches!(first.await.unwrap(), Err(AppendError::Conflict { .. })));
        foreign.await.unwrap().unwrap();
        is_unfounded(&second.await.unwrap(), ours);
        assert!(third.await.unwrap().unwrap_err().conflict() == Some(ours));
        read.await.unwrap().unwrap();
        assert!(lost.has_failed() && next.has_failed());
        assert!(journal.read_stream(own, 0, 1).await.unwrap().is_empty());
        // Decided again, it goes through: it is not that its command was refused once.
        wanted.extend(["foreign", "after"]);
        holds(&*journal, ours, &wanted).await;
    }
}

/// Whatever kept it from being recorded.
async fn refuses_what_is_based_on_what_was_never_recorded(journal: Arc<dyn Journal>) {
    let stream = agent();
    journal.append(append(stream, Expected::NoStream, &["before"])).await.unwrap();
    let ask = async |expected, ticket: &Ticket| {
        let turn = Turn::new().based_on(stream, ticket.clone());
        journal.append_in_turn(append(stream, expected, &["no"]), turn).await
    };
    // It was given up before it was handed in,
    let turn = Turn::new();
    let ticket = turn.ticket();
    assert!(!ticket.has_failed());
    drop(turn);
    assert!(ticket.has_failed());
    is_unfounded(&ask(Expected::Exact(0), &ticket).await, stream);
    // is no append,
    let turn = Turn::new();
    let ticket = turn.ticket();
    let nothing = journal.append_in_turn(append(stream, Expected::Any, &[]), turn).await;
    assert!(matches!(nothing, Err(AppendError::Invalid(_))));
    is_unfounded(&ask(Expected::Any, &ticket).await, stream);
    // or was not handed in yet, which is none of the journal's business.
    let turn = Turn::new();
    is_unfounded(&ask(Expected::Exact(0), &turn.ticket()).await, stream);
    journal.append_in_turn(append(stream, Expected::Exact(0), &["after"]), turn).await.unwrap();
    holds(&*journal, stream, &["before", "after"]).await;
}

async fn tells_apart_what_each_of_several_streams_is_based_on(journal: Arc<dyn Journal>) {
    let (one, two, queue) = (agent(), agent(), Queue::of(&journal));
    let (first, done) = queue.put(append(one, Expected::NoStream, &["a"]), &[]).await;
    let (second, lost) = queue.put(append(two, Expected::Exact(3), &["lost"]), &[]).await;
    let (_, foreign) = queue.put(append(two, Expected::NoStream, &["b"]), &[]).await;
    let both = || parts(vec![part(one, Expected::Exact(0), &["c"]), part(two, Expected::Exact(0), &["d"])]);
    let (_, wrong) = queue.put(both(), &[(one, &first), (two, &second)]).await;
    let (_, right) = queue.put(both(), &[(one, &first)]).await;
    done.await.unwrap().unwrap();
    assert!(lost.await.unwrap().is_err());
    foreign.await.unwrap().unwrap();
    is_unfounded(&wrong.await.unwrap(), two);
    right.await.unwrap().unwrap();
    holds(&*journal, one, &["a", "c"]).await;
    holds(&*journal, two, &["b", "d"]).await;
}

/// What was recorded of it was decided another time, upon something else.
async fn takes_the_repetition_of_a_command_for_no_basis(journal: Arc<dyn Journal>) {
    let (stream, queue) = (agent(), Queue::of(&journal));
    let wish = remembered(append(stream, Expected::Any, &["once"]));
    let (first, done) = queue.put(wish.clone(), &[]).await;
    assert!(!done.await.unwrap().unwrap().repeated);
    let (again, repeated) = queue.put(wish, &[]).await;
    let (_, wrong) = queue.put(append(stream, Expected::Exact(0), &["no"]), &[(stream, &again)]).await;
    let (_, right) = queue.put(append(stream, Expected::Exact(0), &["yes"]), &[(stream, &first)]).await;
    assert!(repeated.await.unwrap().unwrap().repeated);
    is_unfounded(&wrong.await.unwrap(), stream);
    right.await.unwrap().unwrap();
    holds(&*journal, stream, &["once", "yes"]).await;
    assert_eq!(everything(&*journal).await.len(), 2);
}
