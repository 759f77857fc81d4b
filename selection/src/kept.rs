//! A model of meaning whose vectors are kept from one run of the program to the next, because computing those of a
//! whole library takes seconds.
//!
//! What is kept is disposable: it begins with the vector of a fixed text, so what another model or another machine has
//! computed is not taken, and what cannot be read is taken for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::sync::{Mutex, PoisonError};

use crate::meaning::{Meaning, MeaningError, Vector};

/// The first bytes of what is kept; another layout has others.
const MARK: &[u8] = b"hishamos meaning 1\n";
/// The text by whose vector a model is told from another.
const PROBE: &str = "which model is this? أي نموذج هذا؟";
/// Longer texts and vectors are signs of damage.
const MOST: u32 = 1 << 20;

/// A model, and the vectors that it need not compute.
pub struct Kept<M> {
    model: M,
    probe: Vector,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    vectors: BTreeMap<String, Vector>,
    /// What was asked for since the beginning; the rest is left behind when writing.
    asked: BTreeSet<String>,
    computed: usize,
}

impl<M: Meaning> Kept<M> {
    /// A model with what was kept of it; whatever cannot be used of that is as if it were not there.
    ///
    /// # Errors
    /// When the model fails.
    pub fn new(model: M, kept: impl Read) -> Result<Self, MeaningError> {
        let probe = model.vectors(&[PROBE])?.pop().unwrap_or_default();
        let vectors = read(kept, &probe).unwrap_or_default();
        Ok(Self { model, probe, state: Mutex::new(State { vectors, ..State::default() }) })
    }

    /// The model itself, for texts that need not be kept.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// Whether a vector had to be computed since the beginning, so that writing is worth while.
    pub fn has_news(&self) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).computed > 0
    }

    /// Writes the vectors of the texts that were asked for.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        to.write_all(MARK)?;
        write_vector(&mut to, &self.probe)?;
        for (text, vector) in state.vectors.iter().filter(|(text, _)| state.asked.contains(*text)) {
            to.write_all(&length(text.len())?.to_le_bytes())?;
            to.write_all(text.as_bytes())?;
            write_vector(&mut to, vector)?;
        }
        to.flush()
    }
}

impl<M: Meaning> Meaning for Kept<M> {
    fn vectors(&self, texts: &[&str]) -> Result<Vec<Vector>, MeaningError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut vectors = Vec::with_capacity(texts.len());
        for text in texts {
            state.asked.insert((*text).to_owned());
            let vector = match state.vectors.get(*text) {
                Some(vector) => vector.clone(),
                None => {
                    let vector = self.model.vectors(&[text])?.pop().unwrap_or_default();
                    state.vectors.insert((*text).to_owned(), vector.clone());
                    state.computed += 1;
                    vector
                }
            };
            vectors.push(vector);
        }
        Ok(vectors)
    }
}

impl<M> std::fmt::Debug for Kept<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kept").finish_non_exhaustive()
    }
}

fn read(mut from: impl Read, probe: &[f32]) -> Option<BTreeMap<String, Vector>> {
    let mut mark = vec![0; MARK.len()];
    from.read_exact(&mut mark).ok()?;
    if mark != MARK || read_vector(&mut from)? != probe {
        return None;
    }
    let mut vectors = BTreeMap::new();
    while let Some(length) = read_length(&mut from) {
        let mut text = vec![0; length];
        from.read_exact(&mut text).ok()?;
        let vector = read_vector(&mut from)?;
        if vector.len() != probe.len() {
            return None;
        }
        vectors.insert(String::from_utf8(text).ok()?, vector);
    }
    Some(vectors)
}

fn read_length(from: &mut impl Read) -> Option<usize> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes).ok()?;
    let length = u32::from_le_bytes(bytes);
    (length <= MOST).then(|| usize::try_from(length).ok()).flatten()
}

fn read_vector(from: &mut impl Read) -> Option<Vector> {
    let length = read_length(from)?;
    let mut bytes = vec![0; length.checked_mul(4)?];
    from.read_exact(&mut bytes).ok()?;
    let numbers = bytes.chunks_exact(4).map(|chunk| chunk.try_into().map(f32::from_le_bytes));
    numbers.collect::<Result<_, _>>().ok()
}

fn write_vector(to: &mut impl Write, vector: &[f32]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(4 + vector.len() * 4);
    bytes.extend(length(vector.len())?.to_le_bytes());
    bytes.extend(vector.iter().flat_map(|number| number.to_le_bytes()));
    to.write_all(&bytes)
}

fn length(length: usize) -> io::Result<u32> {
    u32::try_from(length).ok().filter(|length| *length <= MOST).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Counts what it computes.
    struct Counting(f32, Arc<AtomicUsize>);

    impl Meaning for Counting {
        fn vectors(&self, texts: &[&str]) -> Result<Vec<Vector>, MeaningError> {
            self.1.fetch_add(texts.len(), Ordering::Relaxed);
            Ok(texts.iter().map(|text| vec![self.0, if text.contains('a') { 1.0 } else { 0.0 }]).collect())
        }
    }

    fn model(number: f32, kept: &[u8]) -> (Kept<Counting>, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let kept = Kept::new(Counting(number, Arc::clone(&count)), kept).expect("a model");
        count.store(0, Ordering::Relaxed);
        (kept, count)
    }

    fn written(kept: &Kept<Counting>) -> Vec<u8> {
        let mut bytes = Vec::new();
        kept.write(&mut bytes).expect("written");
        bytes
    }

    #[test]
    fn what_was_computed_once_is_not_computed_again() {
        let (first, count) = model(0.5, &[]);
        let vectors = first.vectors(&["a", "b", "a"]).expect("vectors");
        assert_eq!(
            (vectors.as_slice(), count.load(Ordering::Relaxed)),
            ([[0.5, 1.0], [0.5, 0.0], [0.5, 1.0]].map(Vec::from).as_slice(), 2)
        );
        let bytes = written(&first);
        let (second, count) = model(0.5, &bytes);
        assert_eq!(second.vectors(&["a", "b", "a"]).expect("vectors"), vectors);
        assert_eq!(count.load(Ordering::Relaxed), 0);
        assert!(first.has_news() && !second.has_news());
        // What nobody asks for any more is left behind.
        let (third, _) = model(0.5, &bytes);
        third.vectors(&["b", "c"]).expect("vectors");
        let (fourth, count) = model(0.5, &written(&third));
        fourth.vectors(&["b", "c"]).expect("vectors");
        assert_eq!(count.load(Ordering::Relaxed), 0);
        fourth.vectors(&["a"]).expect("vectors");
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_another_model_left_or_what_is_damaged_is_not_taken() {
        let (first, _) = model(0.5, &[]);
        first.vectors(&["a"]).expect("vectors");
        let bytes = written(&first);
        let computes = |number: f32, kept: &[u8]| {
            let (model, count) = model(number, kept);
            model.vectors(&["a"]).expect("vectors");
            count.load(Ordering::Relaxed)
        };
        assert_eq!(computes(0.5, &bytes), 0);
        assert_eq!(computes(0.25, &bytes), 1);
        for end in 0..bytes.len() {
            let damaged = bytes.get(..end).expect("a part");
            assert_eq!(computes(0.5, damaged), 1, "{end}");
        }
    }
}
