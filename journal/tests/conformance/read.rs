use std::sync::Arc;

use domain::{Category, StreamId};
use journal::{Expected, Filter, Journal, Position, RecordedEvent, Several};

use super::{conformance, everything, positions};
use crate::sample::{agent, append, task};

conformance!(
    reads_strictly_after,
    reads_what_a_filter_wants,
    reads_back_what_a_filter_wants,
    reads_streams_in_part,
    reads_each_stream_from_a_revision_on,
    reads_streams_together_as_of_a_position
);

async fn fill(journal: &dyn Journal) {
    let streams = [agent(), task(), agent()];
    for round in 0..12 {
        for stream in streams {
            journal.append(append(stream, Expected::Any, &[&format!("{round}")])).await.unwrap();
        }
    }
}

async fn reads_strictly_after(journal: Arc<dyn Journal>) {
    fill(&*journal).await;
    let all = positions(&everything(&*journal).await);
    assert_eq!(all.len(), 36);
    // A reader that stops after any event and any page size goes on without gap or repetition.
    for limit in [1, 2, 5, 7, 100] {
        let mut seen = Vec::new();
        let mut after = Position::START;
        loop {
            let page = journal.read_all(after, &Filter::default(), limit).await.unwrap();
            assert!(page.events.len() <= limit);
            if page.position == after {
                break;
            }
            seen.extend(positions(&page.events));
            after = page.position;
        }
        assert_eq!(seen, all);
    }
    for (index, position) in all.iter().enumerate() {
        let page = journal.read_all(Position::from_u64(*position), &Filter::default(), 100).await.unwrap();
        assert_eq!(positions(&page.events), all[index + 1..]);
    }
    // Positions need not be those of events: somebody may have made them up.
    for (index, position) in all.iter().enumerate() {
        let page = journal.read_all(Position::from_u64(*position - 1), &Filter::default(), 100).await.unwrap();
        assert_eq!(positions(&page.events), all[index..]);
    }
    let beyond = Position::from_u64(all[35] + 10_000);
    let page = journal.read_all(beyond, &Filter::default(), 10).await.unwrap();
    assert!(page.events.is_empty());
    assert_eq!(page.position, beyond);
}

fn filters(all: &[Arc<RecordedEvent>]) -> Vec<Filter> {
    vec![
        Filter::default(),
        Filter::categories([Category::Task]),
        Filter::categories([Category::Task, Category::Agent]),
        Filter::categories([Category::Run]),
        Filter { types: vec!["agent.disabled".to_owned()], ..Filter::default() },
        Filter { types: vec!["agent.disabled".to_owned()], ..Filter::categories([Category::Task]) },
        Filter { stream: Some(all[0].stream), ..Filter::default() },
        Filter { stream: Some(all[0].stream), ..Filter::categories([Category::Agent]) },
        Filter { stream: Some(all[0].stream), ..Filter::categories([Category::Task]) },
        Filter { stream: Some(all[1].stream), types: vec!["task.cancelled".to_owned()], ..Filter::default() },
        Filter { stream: Some(all[1].stream), types: vec!["task.created".to_owned()], ..Filter::default() },
        Filter { stream: Some(agent()), ..Filter::default() },
    ]
}

async fn reads_what_a_filter_wants(journal: Arc<dyn Journal>) {
    fill(&*journal).await;
    let all = everything(&*journal).await;
    for filter in filters(&all) {
        let wanted: Vec<u64> =
            all.iter().filter(|event| filter.matches(event)).map(|event| event.position.as_u64()).collect();
        for limit in [1, 3, 50] {
            let mut seen = Vec::new();
            let mut after = Position::START;
            while after < all[35].position {
                let page = journal.read_all(after, &filter, limit).await.unwrap();
                assert!(page.position > after, "{filter:?} goes no further than {after}");
                assert!(page.events.len() <= limit);
                seen.extend(positions(&page.events));
                after = page.position;
            }
            assert_eq!(seen, wanted, "{filter:?} in pages of {limit}");
        }
    }
}

async fn reads_back_what_a_filter_wants(journal: Arc<dyn Journal>) {
    fill(&*journal).await;
    let all = everything(&*journal).await;
    for filter in filters(&all) {
        let mut wanted: Vec<u64> =
            all.iter().filter(|event| filter.matches(event)).map(|event| event.position.as_u64()).collect();
        wanted.reverse();
        for limit in [1, 3, 50] {
            let (mut seen, mut before) = (Vec::new(), None);
            while before != Some(Position::START) {
                let page = journal.read_back(before, &filter, limit).await.unwrap();
                assert!(before.is_none_or(|before| page.position < before), "{filter:?} stays before {before:?}");
                assert!(page.events.len() <= limit);
                seen.extend(positions(&page.events));
                before = Some(page.position);
            }
            assert_eq!(seen, wanted, "{filter:?} in pages of {limit}");
        }
    }
    let newest: Vec<u64> = positions(&all).into_iter().rev().collect();
    // Positions need not be those of events: somebody may have made them up.
    let anything = Filter::default();
    for (index, position) in newest.iter().enumerate() {
        let before = |position| journal.read_back(Some(Position::from_u64(position)), &anything, 100);
        assert_eq!(positions(&before(*position).await.unwrap().events), newest[index + 1..]);
        assert_eq!(positions(&before(*position + 1).await.unwrap().events), newest[index..]);
    }
    let beyond = Some(Position::from_u64(newest[0] + 10_000));
    assert_eq!(positions(&journal.read_back(beyond, &anything, 2).await.unwrap().events), newest[..2]);
    let nothing = journal.read_back(Some(Position::START), &anything, 2).await.unwrap();
    assert!(nothing.events.is_empty() && nothing.position == Position::START);
}

async fn reads_streams_in_part(journal: Arc<dyn Journal>) {
    fill(&*journal).await;
    let stream = everything(&*journal).await[1].stream;
    for from in 0..14 {
        for limit in [1, 4, 100] {
            let part = journal.read_stream(stream, from, limit).await.unwrap();
            let revisions: Vec<u64> = part.iter().map(|event| event.revision).collect();
            let wanted: Vec<u64> = (from..12).take(limit).collect();
            assert_eq!(revisions, wanted);
        }
    }
    assert!(journal.read_stream(agent(), 0, 10).await.unwrap().is_empty());
}

async fn reads_streams_together_as_of_a_position(journal: Arc<dyn Journal>) {
    fill(&*journal).await;
    let all = everything(&*journal).await;
    let wanted = [all[0].stream, all[1].stream, agent()];
    for until in all.iter().map(|event| event.position).chain([Position::START, Position::from_u64(u64::MAX >> 1)]) {
        let expected: Vec<u64> = all
            .iter()
            .filter(|event| wanted.contains(&event.stream) && event.position <= until)
            .map(|event| event.position.as_u64())
            .collect();
        let read = journal.read_streams(&wanted, until, 24).await.unwrap().unwrap();
        assert_eq!(positions(&read), expected, "up to {until}");
        // What is more than wanted is not given in part.
        let fits = journal.read_streams(&wanted, until, 10).await.unwrap();
        assert_eq!(fits.is_some(), expected.len() <= 10, "up to {until}");
    }
    assert!(journal.read_streams(&[], all[35].position, 10).await.unwrap().unwrap().is_empty());
}

async fn reads_each_stream_from_a_revision_on(journal: Arc<dyn Journal>) {
    fill(&*journal).await;
    let all = everything(&*journal).await;
    let [first, second, third] = [all[0].stream, all[1].stream, all[2].stream];
    let wanted = [(third, 3), (agent(), 0), (first, 12), (second, 0), (task(), 7)];
    for each in [1, 4, 100] {
        let (mut read, mut next) = (Vec::new(), 0);
        while next < wanted.len() {
            let Several { events, streams } = journal.read_each(&wanted[next..], each).await.unwrap();
            assert!(streams > 0, "an answer is about one stream at least");
            read.extend(events.iter().map(|event| (event.stream, event.revision)));
            next += streams;
        }
        let mut expected: Vec<(StreamId, u64)> = (3..12).take(each).map(|revision| (third, revision)).collect();
        expected.extend((0..12).take(each).map(|revision| (second, revision)));
        assert_eq!(read, expected, "at most {each} of each");
    }
    let nothing = journal.read_each(&[], 10).await.unwrap();
    assert!(nothing.events.is_empty() && nothing.streams == 0);
}
