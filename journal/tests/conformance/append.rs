use std::collections::HashSet;
use std::sync::Arc;

use domain::{Category, StreamId};
use journal::{AppendError, Expected, Journal, MAX_APPEND_EVENTS, MAX_PAYLOAD, Position, StreamAppend};
use uuid::Uuid;

use super::{conformance, everything, in_order};
use crate::sample::{agent, append, event, part, parts, remembered, task, text_of};

conformance!(
    keeps_every_byte,
    checks_what_is_expected,
    refuses_one_append_and_not_its_neighbours,
    records_all_streams_or_none,
    refuses_what_is_no_append,
    tells_streams_of_two_categories_apart,
    gives_a_repeated_command_its_first_answer,
    decides_a_command_once_among_many_at_the_same_time,
    keeps_large_and_empty_payloads,
    gives_ids_that_follow_from_the_command,
    lets_one_of_many_rivals_win,
);

async fn keeps_every_byte(journal: Arc<dyn Journal>) {
    let stream = agent();
    let mut wish = append(stream, Expected::NoStream, &["first", "with \0 and ünïcode \u{1F980}"]);
    let context = wish.context.clone();
    let done = journal.append(wish.clone()).await.unwrap();
    assert_eq!(done.heads, [(stream, 1)]);
    assert!(!done.repeated);
    wish.context.causation = None;
    wish.streams[0].expected = Expected::Exact(1);
    journal.append(wish.clone()).await.unwrap();

    let recorded = journal.read_stream(stream, 0, 10).await.unwrap();
    let all = everything(&*journal).await;
    assert_eq!(recorded.len(), 4);
    for (index, (one, two)) in recorded.iter().zip(&all).enumerate() {
        assert_eq!(one.stream, stream);
        assert_eq!(one.revision, index as u64);
        assert_eq!(one.event_type, "agent.disabled");
        assert_eq!(one.recorded_at, context.at);
        assert_eq!(one.metadata.actor, context.actor);
        assert_eq!(one.metadata.tenant, context.tenant);
        assert_eq!(one.metadata.correlation, context.correlation);
        assert_eq!(one.metadata.causation, if index < 2 { context.causation } else { None });
        assert_eq!(one.metadata.command, context.command);
        assert_eq!(*one.event().unwrap(), wish.streams[0].events[index % 2]);
        let encoded = journal::wire::encode(one.event().unwrap()).unwrap();
        assert_eq!(one.payload, encoded.payload);
        assert_eq!((one.schema_version, one.codec), (encoded.schema_version, encoded.codec));
        // Both ways of reading bring the same.
        assert_eq!(one.position, two.position);
        assert_eq!((one.id, one.hash, one.previous_hash), (two.id, two.hash, two.previous_hash));
        assert_eq!((&one.payload, &one.metadata_bytes), (&two.payload, &two.metadata_bytes));
    }
    assert_eq!(journal.head().await.unwrap(), recorded[3].position);
    assert_eq!(journal.seen(), recorded[3].position);
}

async fn checks_what_is_expected(journal: Arc<dyn Journal>) {
    let conflict = async |stream, expected| match journal.append(append(stream, expected, &["no"])).await {
        Err(AppendError::Conflict { stream: at, expected: believed, actual }) => {
            assert_eq!((at, believed), (stream, expected));
            actual
        }
        other => panic!("{expected:?}: {other:?}"),
    };
    let accept = async |stream, expected| {
        journal.append(append(stream, expected, &["yes"])).await.unwrap().heads.last().unwrap().1
    };
    let stream = agent();
    assert_eq!(conflict(stream, Expected::Exists).await, None);
    assert_eq!(conflict(stream, Expected::Exact(0)).await, None);
    assert_eq!(accept(stream, Expected::NoStream).await, 0);
    assert_eq!(conflict(stream, Expected::NoStream).await, Some(0));
    assert_eq!(conflict(stream, Expected::Exact(1)).await, Some(0));
    assert_eq!(accept(stream, Expected::Exact(0)).await, 1);
    assert_eq!(accept(stream, Expected::Exists).await, 2);
    assert_eq!(accept(stream, Expected::Any).await, 3);
    assert_eq!(conflict(stream, Expected::Exact(2)).await, Some(3));
    assert_eq!(accept(agent(), Expected::Any).await, 0);
    // The same for a stream that the writer may have forgotten.
    for _ in 0..3 {
        accept(task(), Expected::NoStream).await;
    }
    assert_eq!(conflict(stream, Expected::NoStream).await, Some(3));
    accept(task(), Expected::NoStream).await;
    assert_eq!(accept(stream, Expected::Exact(3)).await, 4);
    assert_eq!(journal.read_stream(stream, 0, 100).await.unwrap().len(), 5);
}

async fn refuses_one_append_and_not_its_neighbours(journal: Arc<dyn Journal>) {
    let mut waiting = Vec::new();
    for index in 0..60 {
        let journal = Arc::clone(&journal);
        let stream = agent();
        let expected = if index % 3 == 0 { Expected::Exact(7) } else { Expected::NoStream };
        waiting.push(tokio::spawn(async move {
            let done = journal.append(append(stream, expected, &["one", "two"])).await;
            (stream, index % 3 == 0, done)
        }));
    }
    for answer in waiting {
        let (stream, wrong, done) = answer.await.unwrap();
        assert_eq!(done.is_err(), wrong);
        assert_eq!(journal.read_stream(stream, 0, 10).await.unwrap().len(), if wrong { 0 } else { 2 });
    }
    let all = everything(&*journal).await;
    assert_eq!(all.len(), 80);
    in_order(&*journal, &all);
}

async fn records_all_streams_or_none(journal: Arc<dyn Journal>) {
    let (one, two, three) = (agent(), task(), agent());
    journal.append(append(three, Expected::NoStream, &["here"])).await.unwrap();
    let wish = |expected| {
        parts(vec![
            part(one, Expected::NoStream, &["a", "b"]),
            part(two, Expected::NoStream, &["c"]),
            part(three, expected, &["d"]),
        ])
    };
    match journal.append(wish(Expected::Exact(4))).await.unwrap_err() {
        AppendError::Conflict { stream, actual, .. } => assert_eq!((stream, actual), (three, Some(0))),
        other => panic!("{other}"),
    }
    assert_eq!(everything(&*journal).await.len(), 1);
    let done = journal.append(wish(Expected::Exact(0))).await.unwrap();
    assert_eq!(done.heads, [(one, 1), (two, 0), (three, 1)]);
    let all = everything(&*journal).await;
    assert_eq!(all.last().unwrap().position, done.position);
    let texts: Vec<&str> = all.iter().map(|event| text_of(event.event().unwrap())).collect();
    assert_eq!(texts, ["here", "a", "b", "c", "d"]);
}

async fn refuses_what_is_no_append(journal: Arc<dyn Journal>) {
    let stream = agent();
    let large = "x".repeat(MAX_PAYLOAD + 1);
    let nearly = "x".repeat(MAX_PAYLOAD - 100);
    let wrong = [
        (parts(vec![]), "no events"),
        (append(stream, Expected::Any, &[]), "no events"),
        (parts(vec![part(stream, Expected::Any, &["a"]), part(agent(), Expected::Any, &[])]), "no events for stream"),
        (parts(vec![part(stream, Expected::Any, &["a"]), part(stream, Expected::Any, &["b"])]), "twice"),
        (append(stream, Expected::Any, &vec!["x"; MAX_APPEND_EVENTS + 1]), "10001 events; at most 10000"),
        (append(stream, Expected::Any, &[&large]), "at most 1048576 go into one event"),
        (append(stream, Expected::Any, &[nearly.as_str(); 9]), "at most 8388608 go into one append"),
        (
            parts(vec![StreamAppend { stream, expected: Expected::Any, events: vec![event(task(), "lost")] }]),
            "does not belong",
        ),
    ];
    for (wish, what) in wrong {
        match journal.append(wish).await.unwrap_err() {
            AppendError::Invalid(said) => assert!(said.contains(what), "`{said}` does not say `{what}`"),
            other => panic!("{other}"),
        }
    }
    assert_eq!(journal.head().await.unwrap(), Position::START);
}

async fn tells_streams_of_two_categories_apart(journal: Arc<dyn Journal>) {
    let id = Uuid::new_v4();
    let (one, two) = (StreamId { category: Category::Agent, id }, StreamId { category: Category::Task, id });
    journal.append(append(one, Expected::NoStream, &["a"])).await.unwrap();
    journal.append(append(two, Expected::NoStream, &["b"])).await.unwrap();
    assert_eq!(journal.append(append(one, Expected::Exact(0), &["c"])).await.unwrap().heads, [(one, 1)]);
    assert_eq!(journal.read_stream(two, 0, 10).await.unwrap().len(), 1);
}

async fn gives_a_repeated_command_its_first_answer(journal: Arc<dyn Journal>) {
    let (one, two) = (agent(), task());
    let wish =
        remembered(parts(vec![part(one, Expected::NoStream, &["a"]), part(two, Expected::NoStream, &["b", "c"])]));
    let command = wish.context.command;
    assert!(journal.find_command(command).await.unwrap().is_none());
    let first = journal.append(wish.clone()).await.unwrap();
    assert!(!first.repeated);
    // Others come in between.
    journal.append(append(two, Expected::Exact(1), &["d"])).await.unwrap();
    let mut any = wish.clone();
    any.streams.iter_mut().for_each(|part| part.expected = Expected::Any);
    for wish in [wish, any] {
        let again = journal.append(wish).await.unwrap();
        assert!(again.repeated);
        assert_eq!(again.position, first.position);
        assert_eq!(again.heads, [(two, 1)]);
    }
    assert_eq!(journal.find_command(command).await.unwrap().unwrap().position, first.position);
    assert_eq!(everything(&*journal).await.len(), 4);
    // What is not to be remembered is not.
    let forgotten = append(agent(), Expected::Any, &["x"]);
    journal.append(forgotten.clone()).await.unwrap();
    assert!(journal.find_command(forgotten.context.command).await.unwrap().is_none());
}

async fn decides_a_command_once_among_many_at_the_same_time(journal: Arc<dyn Journal>) {
    for expected in [Expected::NoStream, Expected::Any] {
        let wish = remembered(append(agent(), expected, &["only once"]));
        let asking: Vec<_> = (0..24)
            .map(|_| {
                let (journal, wish) = (Arc::clone(&journal), wish.clone());
                tokio::spawn(async move { journal.append(wish).await.unwrap() })
            })
            .collect();
        let mut firsts = 0;
        let mut answers = HashSet::new();
        for asked in asking {
            let done = asked.await.unwrap();
            firsts += usize::from(!done.repeated);
            answers.insert((done.position, done.heads));
        }
        assert_eq!((firsts, answers.len()), (1, 1));
        assert_eq!(journal.read_stream(wish.streams[0].stream, 0, 10).await.unwrap().len(), 1);
    }
}

async fn keeps_large_and_empty_payloads(journal: Arc<dyn Journal>) {
    let stream = agent();
    // Hard to compress, easy to make.
    let noise: String =
        (0..20_000).map(|index: u64| format!("{:x}", index.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let large = "y".repeat(900_000);
    journal.append(append(stream, Expected::NoStream, &["", &large, &noise])).await.unwrap();
    let recorded = journal.read_stream(stream, 0, 10).await.unwrap();
    let texts: Vec<&str> = recorded.iter().map(|event| text_of(event.event().unwrap())).collect();
    assert_eq!(texts, ["", large.as_str(), noise.as_str()]);
}

async fn gives_ids_that_follow_from_the_command(journal: Arc<dyn Journal>) {
    let wish = append(agent(), Expected::NoStream, &["a", "b", "c"]);
    let command = wish.context.command;
    journal.append(wish).await.unwrap();
    for (index, event) in everything(&*journal).await.iter().enumerate() {
        assert_eq!(event.id, journal::event_id(command, index as u32));
        assert_eq!(event.id.as_uuid().get_version_num(), 8);
        assert_eq!(event.id.as_uuid().as_bytes()[..6], command.as_uuid().as_bytes()[..6]);
    }
}

async fn lets_one_of_many_rivals_win(journal: Arc<dyn Journal>) {
    let stream = agent();
    for round in 0..5 {
        let expected = if round == 0 { Expected::NoStream } else { Expected::Exact(round - 1) };
        let rivals: Vec<_> = (0..16)
            .map(|_| {
                let journal = Arc::clone(&journal);
                tokio::spawn(async move { journal.append(append(stream, expected, &["mine"])).await })
            })
            .collect();
        let mut winners = 0;
        for rival in rivals {
            match rival.await.unwrap() {
                Ok(_) => winners += 1,
                Err(AppendError::Conflict { actual, .. }) => assert_eq!(actual, Some(round)),
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(winners, 1);
    }
}
