//! Reads of many gathered into one.
//!
//! What is asked for while the gathering task waits for its turn goes into one read; there is no timer, because even the
//! shortest one would be added to every answer once for each level of it.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

/// Reads the values of keys, many at a time.
pub(crate) trait Read<K>: Send + Sync + 'static {
    type Value: Clone + Send + 'static;
    type Failed: Clone + Send + 'static;

    /// The values of those keys that have one.
    fn read(&self, keys: Vec<K>) -> impl Future<Output = Result<HashMap<K, Self::Value>, Self::Failed>> + Send;
}

/// Those who wait for the value of each key.
type Waiting<K, V, E> = HashMap<K, Vec<oneshot::Sender<Result<Option<V>, E>>>>;

/// Gathers what is asked of a reader. Nothing is kept: each batch is read anew.
pub(crate) struct Batches<R> {
    reader: Arc<R>,
    /// One [`Waiting`] for each type of key.
    waiting: Arc<Mutex<HashMap<TypeId, Box<dyn Any + Send>>>>,
    tasks: TaskTracker,
}

impl<R: Send + Sync + 'static> Batches<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader: Arc::new(reader), waiting: Arc::default(), tasks: TaskTracker::new() }
    }

    pub(crate) fn reader(&self) -> &R {
        &self.reader
    }

    /// The value of a key, read together with what others ask for at the same time. Whoever asks first starts the task
    /// that reads for all. `None` around it all means that this task has panicked.
    pub(crate) async fn one<K>(&self, key: K) -> Option<Result<Option<R::Value>, R::Failed>>
    where
        K: Eq + Hash + Clone + Send + 'static,
        R: Read<K>,
    {
        let (sender, answer) = oneshot::channel();
        let first = {
            let mut waiting = self.waiting.lock();
            let of_type = waiting.entry(TypeId::of::<K>()).or_insert_with(empty::<K, R>);
            let of_type = of_type.downcast_mut::<Waiting<K, R::Value, R::Failed>>()?;
            let first = of_type.is_empty();
            of_type.entry(key).or_default().push(sender);
            first
        };
        if first {
            let (reader, waiting) = (Arc::clone(&self.reader), Arc::clone(&self.waiting));
            self.tasks.spawn(async move {
                tokio::task::yield_now().await;
                let taken = waiting.lock().remove(&TypeId::of::<K>());
                let Some(taken) = taken.and_then(|taken| taken.downcast::<Waiting<K, R::Value, R::Failed>>().ok())
                else {
                    return;
                };
                let read = reader.read(taken.keys().cloned().collect()).await;
                for (key, senders) in *taken {
                    let value = read.as_ref().map(|values| values.get(&key)).map_err(Clone::clone);
                    for sender in senders {
                        // Whoever has gone away needs no answer.
                        let _ = sender.send(value.clone().map(|value| value.cloned()));
                    }
                }
            });
        }
        answer.await.ok()
    }
}

fn empty<K, R>() -> Box<dyn Any + Send>
where
    K: Eq + Hash + Send + 'static,
    R: Read<K>,
{
    Box::new(Waiting::<K, R::Value, R::Failed>::new())
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
