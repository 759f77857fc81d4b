//! From prompt to answer, token by token.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use candle_transformers::generation::{LogitsProcessor, Sampling};

use super::model::Model;
use crate::{Failure, FailureKind, Finish, Request, Usage};

/// Low, because small models wander at more, and above zero, because they loop at zero.
const TEMPERATURE: f64 = 0.2;
/// By how much the score of a token is divided that stood among the last [`REPEAT_WINDOW`] of the answer.
const REPEAT_PENALTY: f32 = 1.1;
const REPEAT_WINDOW: usize = 64;

/// A finished answer.
pub(super) struct Answer {
    pub(super) text: String,
    pub(super) finish: Finish,
    pub(super) usage: Usage,
}

/// Answers a request with at most `limit` tokens, handing on each piece of text as it comes. Asks `cancelled` before
/// every token.
pub(super) fn run(
    model: &mut Model,
    request: &Request,
    limit: u32,
    cancelled: &dyn Fn() -> bool,
    emit: &mut dyn FnMut(String),
) -> Result<Answer, Failure> {
    let broken = |why: String| Failure::new(FailureKind::PlatformFailure, why);
    let stopped = || Failure::new(FailureKind::Timeout, "nobody waits for the answer any more");
    let prompt = model.template.prompt(request, &model.tokens).map_err(broken)?;
    if prompt.len() >= model.context {
        let (asked, takes) = (prompt.len(), model.context);
        let why = format!(
            "the prompt has {asked} tokens and leaves no room for an answer: the model takes {takes} tokens, prompt \
             and answer together"
        );
        return Err(Failure::new(FailureKind::ContextTooLong, why));
    }
    let room = model.context - prompt.len();
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(room);

    let mut sampler = Sampler::new(request);
    let mut text = String::new();
    let mut answer: Vec<u32> = Vec::new();
    let mut finish = Finish::Length;
    let mut scores = model.prefill(&prompt, cancelled).map_err(broken)?.ok_or_else(stopped)?;
    // Shared, because the reader borrows the tokenizer while the model computes.
    let tokens = Arc::clone(&model.tokens);
    let mut read = tokens.reader();
    while answer.len() < limit {
        let token = sampler.next(scores, &answer).map_err(broken)?;
        answer.push(token);
        if model.stops.contains(&token) {
            finish = Finish::Stop;
            break;
        }
        if let Some(piece) = read(token).map_err(broken)?.filter(|piece| !piece.is_empty()) {
            text.push_str(&piece);
            emit(piece);
        }
        if answer.len() == limit {
            break;
        }
        if cancelled() {
            return Err(stopped());
        }
        scores = model.forward(&[token], prompt.len() + answer.len() - 1).map_err(broken)?;
    }
    let count = |length: usize| u64::try_from(length).ok();
    let usage = Usage { input: count(prompt.len()), output: count(answer.len()), ..Usage::default() };
    Ok(Answer { text, finish, usage })
}

/// Chooses tokens by their scores.
struct Sampler {
    processor: LogitsProcessor,
    /// Divides the scores of recent tokens; 1 when the request brings its own penalties.
    repeat: f32,
    frequency: f32,
    presence: f32,
}

impl Sampler {
    fn new(request: &Request) -> Self {
        let temperature = request.temperature_milli.map_or(TEMPERATURE, |milli| f64::from(milli) / 1000.0);
        let sampling = match request.top_p_milli.map(|milli| f64::from(milli) / 1000.0) {
            _ if temperature == 0.0 => Sampling::ArgMax,
            Some(p) if p < 1.0 => Sampling::TopP { p, temperature },
            _ => Sampling::All { temperature },
        };
        let [a, b, c, d, e, f, g, h, ..] = request.hash();
        let seed = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let own = request.frequency_penalty_milli.is_some() || request.presence_penalty_milli.is_some();
        let penalty = |milli: Option<i16>| f32::from(milli.unwrap_or(0)) / 1000.0;
        Self {
            processor: LogitsProcessor::from_sampling(seed, sampling),
            repeat: if own { 1.0 } else { REPEAT_PENALTY },
            frequency: penalty(request.frequency_penalty_milli),
            presence: penalty(request.presence_penalty_milli),
        }
    }

    fn next(&mut self, mut scores: Vec<f32>, answer: &[u32]) -> Result<u32, String> {
        self.penalise(&mut scores, answer);
        let mut sample = || self.processor.sample(&Tensor::new(scores.as_slice(), &Device::Cpu)?);
        sample().map_err(|error| format!("no token can be chosen: {error}"))
    }

    fn penalise(&self, scores: &mut [f32], answer: &[u32]) {
        let mut score = |token: u32, change: &dyn Fn(f32) -> f32| {
            if let Some(score) = usize::try_from(token).ok().and_then(|token| scores.get_mut(token)) {
                *score = change(*score);
            }
        };
        let mut recent: Vec<_> = answer.iter().rev().take(REPEAT_WINDOW).copied().collect();
        recent.sort_unstable();
        recent.dedup();
        for token in recent {
            // Towards less likely on either side of zero.
            score(token, &|score| if score > 0.0 { score / self.repeat } else { score * self.repeat });
        }
        if self.frequency != 0.0 || self.presence != 0.0 {
            let mut counts: HashMap<u32, f32> = HashMap::new();
            for token in answer {
                *counts.entry(*token).or_default() += 1.0;
            }
            for (token, count) in counts {
                score(token, &|score| score - count * self.frequency - self.presence);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::Sampler;
    use crate::Request;

    #[test]
    fn temperature_zero_takes_the_best_and_repeats_cost() {
        let request = Request { temperature_milli: Some(0), ..Request::new("x") };
        let mut sampler = Sampler::new(&request);
        assert_eq!(sampler.next(vec![1.0, 2.0, 1.95], &[]).unwrap(), 1);
        assert_eq!(sampler.next(vec![1.0, 2.0, 1.95], &[1]).unwrap(), 2);
        let mut scores = [1.0, -1.0, 3.0];
        sampler.penalise(&mut scores, &[0, 0, 1, 9]);
        assert_eq!(scores, [1.0 / 1.1, -1.1, 3.0]);
    }

    #[test]
    fn penalties_of_the_request_replace_the_own_one() {
        let request =
            Request { frequency_penalty_milli: Some(500), presence_penalty_milli: Some(1000), ..Request::new("x") };
        let mut scores = [5.0, 5.0, 5.0];
        Sampler::new(&request).penalise(&mut scores, &[0, 0, 1]);
        assert_eq!(scores, [3.0, 3.5, 5.0]);
    }

    #[test]
    fn equal_requests_choose_equal_tokens() {
        let request = Request { temperature_milli: Some(1500), top_p_milli: Some(900), ..Request::new("x") };
        let choose = || {
            let mut sampler = Sampler::new(&request);
            (0..50).map(|_| sampler.next(vec![1.0; 40], &[]).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(choose(), choose());
        assert!(choose().windows(2).any(|pair| pair.first() != pair.last()));
    }
}
