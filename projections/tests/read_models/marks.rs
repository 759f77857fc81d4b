//! How good the answers of runs are, by whoever counts.

use std::collections::BTreeMap;

use domain::task::{QualitySource, TaskStatus};
use domain::{Decide, Event, Task, TaskId};
use journal::{Filter, Position};
use output::RunQuality;
use projections::{Options, RunFilter, Window};

use crate::world::{PATIENCE, World};

fn fold<A: Decide>(state: &mut A, event: A::Event) {
    state.apply(event);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_as_good_as_the_marks_that_count_of_its_tasks() {
    let world = World::new().await;
    let mut history = world.history(90);
    let running = world.start(Options::default()).await;
    history.happen(900).await;
    history.finish().await;
    running.wait_for(history.position).await;
    let queries = running.queries();
    queries.wait_for_one("quality", history.position, PATIENCE).await.unwrap();

    // Against the tasks themselves, folded from the journal.
    let mut tasks = BTreeMap::<TaskId, Task>::new();
    let page = world.journal.read_all(Position::START, &Filter::default(), usize::MAX).await.unwrap();
    for recorded in &page.events {
        if let Event::Task(event) = recorded.event().unwrap() {
            fold(tasks.entry(TaskId::from_uuid(recorded.stream.id)).or_default(), event.clone());
        }
    }
    let runs = queries.runs(&RunFilter::default(), &Window::first(200)).await.unwrap().rows;
    let runs: Vec<_> = runs.into_iter().map(|run| run.id).collect();
    let mut expected = BTreeMap::new();
    for run in &runs {
        let rows = queries.tasks_of_runs(&[*run]).await.unwrap().into_iter().filter(|row| !row.undoes);
        let marks = rows.filter_map(|row| {
            let task = tasks.get(&TaskId::from_uuid(row.id))?;
            let standing = task.standing().filter(|_| task.status() == TaskStatus::Completed)?;
            standing.counting().map(|part| (part.source, part.mark))
        });
        if let Some(quality) = RunQuality::of(marks) {
            expected.insert(*run, quality);
        }
    }
    let found = queries.qualities_of_runs(&runs).await.unwrap();
    let found: BTreeMap<_, _> = found.into_iter().map(|row| (row.run_id, row.quality)).collect();
    assert_eq!(found, expected);
    for source in QualitySource::ALL {
        assert!(expected.values().any(|quality| quality.sources.of(source) > 0), "nobody is {}", source.name());
    }
    assert!(expected.len() < runs.len(), "of some runs nobody says anything");
    assert!(queries.qualities_of_runs(&[]).await.unwrap().is_empty());
    world.assert_equal().await;
}
