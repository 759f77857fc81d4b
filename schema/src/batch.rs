//! Reads of many gathered into one.
//!
//! Whoever asks first starts a read, and what is asked for until its turn comes goes into it. While reads are under way,
//! whatever is asked for gathers for the next one. So nobody waits where there is little to do, there is no timer, and
//! the more is asked, the more goes into each statement.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// How many reads of one type of key are under way at most: a second one, so that nobody has to sit out a long one.
const AT_ONCE: usize = 2;

/// Reads the values of keys, many at a time.
pub(crate) trait Read<K>: Send + Sync + 'static {
    type Value: Clone + Send + 'static;
    type Failed: Clone + Send + 'static;

    /// The values of those keys that have one.
    fn read(&self, keys: Vec<K>) -> impl Future<Output = Result<HashMap<K, Self::Value>, Self::Failed>> + Send;
}

/// Those who wait for the value of each key.
type Waiting<K, V, E> = HashMap<K, Vec<oneshot::Sender<Result<Option<V>, E>>>>;

/// What is asked for by one type of key.
struct Queue<K, V, E> {
    waiting: Waiting<K, V, E>,
    /// How many tasks read. While somebody waits there is at least one.
    readers: usize,
}

type Shared<K, V, E> = Arc<Mutex<Queue<K, V, E>>>;

/// Gathers what is asked of a reader. Nothing is kept: each batch is read anew.
pub(crate) struct Batches<R> {
    reader: Arc<R>,
    /// One [`Shared`] queue for each type of key.
    queues: Mutex<HashMap<TypeId, Box<dyn Any + Send>>>,
    tasks: TaskTracker,
}

impl<R: Send + Sync + 'static> Batches<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader: Arc::new(reader), queues: Mutex::default(), tasks: TaskTracker::new() }
    }

    pub(crate) fn reader(&self) -> &R {
        &self.reader
    }

    /// The value of a key, read together with what others ask for at the same time. `None` around it all means that the
    /// task which reads for many has panicked.
    pub(crate) async fn one<K>(&self, key: K) -> Option<Result<Option<R::Value>, R::Failed>>
    where
        K: Eq + Hash + Clone + Send + 'static,
        R: Read<K>,
    {
        let (sender, answer) = oneshot::channel();
        let queue = self.queue::<K>()?;
        let starts = {
            let mut queue = queue.lock();
            let starts = queue.waiting.is_empty() && queue.readers < AT_ONCE;
            queue.readers += usize::from(starts);
            queue.waiting.entry(key).or_default().push(sender);
            starts
        };
        if starts {
            self.tasks.spawn(serve(Arc::clone(&self.reader), Turn { queue, over: false }));
        }
        answer.await.ok()
    }

    fn queue<K>(&self) -> Option<Shared<K, R::Value, R::Failed>>
    where
        K: Send + 'static,
        R: Read<K>,
    {
        let mut queues = self.queues.lock();
        let queue = queues.entry(TypeId::of::<K>()).or_insert_with(|| {
            let queue = Queue::<K, R::Value, R::Failed> { waiting: HashMap::new(), readers: 0 };
            Box::new(Arc::new(Mutex::new(queue)))
        });
        queue.downcast_ref().cloned()
    }
}

/// Reads what has gathered, until nothing has.
async fn serve<K, R>(reader: Arc<R>, mut turn: Turn<K, R::Value, R::Failed>)
where
    K: Eq + Hash + Clone + Send + 'static,
    R: Read<K>,
{
    // Lets those ask who are about to.
    tokio::task::yield_now().await;
    while let Some(taken) = turn.take() {
        let mut read = reader.read(taken.keys().cloned().collect()).await;
        for (key, senders) in taken {
            let value = read.as_mut().map(|values| values.remove(&key)).map_err(|failed| failed.clone());
            // Whoever has gone away needs no answer. As a rule there is one who waits, and the value is handed over.
            let each = std::iter::repeat_n(value, senders.len());
            for (sender, value) in senders.into_iter().zip(each) {
                let _ = sender.send(value);
            }
        }
    }
}

/// Being one of the readers of a queue.
struct Turn<K, V, E> {
    queue: Shared<K, V, E>,
    over: bool,
}

impl<K, V, E> Turn<K, V, E> {
    /// All who wait; when nobody does, the turn is over from that moment on.
    fn take(&mut self) -> Option<Waiting<K, V, E>> {
        let mut queue = self.queue.lock();
        if queue.waiting.is_empty() {
            queue.readers -= 1;
            self.over = true;
            return None;
        }
        Some(std::mem::take(&mut queue.waiting))
    }
}

impl<K, V, E> Drop for Turn<K, V, E> {
    /// After a panic: when nobody else reads, those who wait are told.
    fn drop(&mut self) {
        if !self.over {
            let mut queue = self.queue.lock();
            queue.readers -= 1;
            if queue.readers == 0 {
                queue.waiting.clear();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Knows even numbers, and fails whenever it is asked for 13.
    #[derive(Default)]
    struct Halves(AtomicUsize);

    impl Read<u32> for Halves {
        type Value = u32;
        type Failed = &'static str;

        async fn read(&self, keys: Vec<u32>) -> Result<HashMap<u32, u32>, &'static str> {
            self.0.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            if keys.contains(&13) {
                return Err("unlucky");
            }
            Ok(keys.into_iter().filter(|key| key % 2 == 0).map(|key| (key, key / 2)).collect())
        }
    }

    #[tokio::test]
    async fn what_is_asked_at_once_is_read_at_once_and_everybody_gets_their_own() {
        let batches = Batches::new(Halves::default());
        let asked = [4, 7, 10, 4].map(|key| batches.one(key));
        let got = futures_util::future::join_all(asked).await;
        assert_eq!(got, [Some(Ok(Some(2))), Some(Ok(None)), Some(Ok(Some(5))), Some(Ok(Some(2)))]);
        assert_eq!(batches.reader().0.load(Ordering::SeqCst), 1);
        // Nothing is remembered.
        assert_eq!(batches.one(4).await, Some(Ok(Some(2))));
        assert_eq!(batches.reader().0.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_failure_is_told_to_all_who_wait_and_only_to_them() {
        let batches = Batches::new(Halves::default());
        let got = futures_util::future::join(batches.one(13), batches.one(2)).await;
        assert_eq!(got, (Some(Err("unlucky")), Some(Err("unlucky"))));
        assert_eq!(batches.one(2).await, Some(Ok(Some(1))));
    }

    #[tokio::test]
    async fn whoever_goes_away_holds_up_nobody() {
        let batches = Batches::new(Halves::default());
        {
            let gone = batches.one(6);
            tokio::pin!(gone);
            assert!(futures_util::poll!(&mut gone).is_pending());
        }
        assert_eq!(batches.one(8).await, Some(Ok(Some(4))));
        assert_eq!(batches.reader().0.load(Ordering::SeqCst), 1);
    }

    /// Says what it is asked for, and answers when it may.
    struct Gate {
        asked: tokio::sync::mpsc::UnboundedSender<Vec<u32>>,
        open: tokio::sync::Semaphore,
    }

    impl Read<u32> for Gate {
        type Value = u32;
        type Failed = &'static str;

        async fn read(&self, mut keys: Vec<u32>) -> Result<HashMap<u32, u32>, &'static str> {
            keys.sort_unstable();
            self.asked.send(keys.clone()).map_err(|_| "nobody listens")?;
            self.open.acquire().await.map_err(|_| "shut")?.forget();
            assert!(!keys.contains(&13), "a reader of the test panics");
            Ok(keys.into_iter().map(|key| (key, key + 1)).collect())
        }
    }

    #[tokio::test]
    async fn what_is_asked_while_reads_are_under_way_gathers_for_the_next() {
        let (asked, mut reads) = tokio::sync::mpsc::unbounded_channel();
        let batches = Arc::new(Batches::new(Gate { asked, open: tokio::sync::Semaphore::new(0) }));
        let mut answers = tokio::task::JoinSet::new();
        let ask = |answers: &mut tokio::task::JoinSet<_>, key: u32| {
            let batches = Arc::clone(&batches);
            answers.spawn(async move { (key, batches.one(key).await) });
        };
        ask(&mut answers, 1);
        assert_eq!(reads.recv().await, Some(vec![1]));
        ask(&mut answers, 2);
        assert_eq!(reads.recv().await, Some(vec![2]), "one long read holds up nobody");
        for key in [5, 3, 4] {
            ask(&mut answers, key);
        }
        while batches.queue::<u32>().is_none_or(|queue| queue.lock().waiting.len() < 3) {
            tokio::task::yield_now().await;
        }
        assert!(reads.try_recv().is_err(), "two reads at once are enough");
        batches.reader().open.add_permits(3);
        assert_eq!(reads.recv().await, Some(vec![3, 4, 5]));
        for (key, got) in answers.join_all().await {
            assert_eq!(got, Some(Ok(Some(key + 1))));
        }
        assert_eq!(batches.queue::<u32>().map(|queue| queue.lock().readers), Some(0));
    }

    #[tokio::test]
    async fn a_panic_is_told_and_later_questions_are_answered() {
        let (asked, _reads) = tokio::sync::mpsc::unbounded_channel();
        let batches = Batches::new(Gate { asked, open: tokio::sync::Semaphore::new(9) });
        assert_eq!(batches.one(13).await, None);
        assert_eq!(batches.one(14).await, Some(Ok(Some(15))));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_at_once_all_get_an_answer() {
        let batches = Arc::new(Batches::new(Halves::default()));
        let mut asked = tokio::task::JoinSet::new();
        for key in 0..2000u32 {
            let batches = Arc::clone(&batches);
            asked.spawn(async move { (key, batches.one(key * 20).await) });
        }
        for (key, got) in asked.join_all().await {
            assert_eq!(got, Some(Ok(Some(key * 10))));
        }
    }
}
