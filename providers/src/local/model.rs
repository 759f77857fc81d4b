use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Cursor, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use candle_core::quantized::gguf_file::{self, Content, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use candle_transformers::models::{quantized_llama, quantized_qwen2, quantized_qwen3};

use super::prompt::ChatTemplate;
use super::tokens::Tokens;

/// The architectures that can be run, as GGUF files name them in `general.architecture`.
pub const ARCHITECTURES: [&str; 3] = ["llama", "qwen2", "qwen3"];

/// The most tokens of a prompt that are computed in one go. A power of two: see [`Model::prefill`].
const CHUNK: usize = 256;

/// Encodings of weights that candle multiplies without vector instructions, several times slower than [`FAST`].
const SLOW: [GgmlDType; 4] = [GgmlDType::Q4_1, GgmlDType::Q5_0, GgmlDType::Q5_1, GgmlDType::Q8_1];
/// What they are recoded to: the fast encoding that is at least as exact as each of them.
const FAST: GgmlDType = GgmlDType::Q8_0;
/// The most weights that are recoded, which takes two bytes of memory for each meanwhile and one for good.
const RECODED: usize = 1_000_000_000;

/// A loaded model with all that it needs to answer.
pub(super) struct Model {
    pub(super) architecture: String,
    /// Prompt and answer together, in tokens.
    pub(super) context: usize,
    pub(super) tokens: Arc<Tokens>,
    pub(super) template: ChatTemplate,
    /// Tokens that end an answer.
    pub(super) stops: HashSet<u32>,
    weights: Weights,
}

enum Weights {
    Llama(quantized_llama::ModelWeights),
    Qwen2(quantized_qwen2::ModelWeights),
    Qwen3(quantized_qwen3::ModelWeights),
}

impl Model {
    /// Reads a GGUF file. The error says what is wrong with the file, for a person.
    pub(super) fn load(path: &Path, wanted_context: Option<usize>) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let mut file = BufReader::new(file);
        let mut content = Content::read(&mut file).map_err(|error| format!("it is no GGUF file: {error}"))?;
        let architecture = text(&content, "general.architecture").unwrap_or_default();
        if !ARCHITECTURES.contains(&architecture.as_str()) {
            let known = ARCHITECTURES.join(", ");
            return Err(format!("its architecture is `{architecture}`, and only these can be run: {known}"));
        }
        let trained = number(&content, &format!("{architecture}.context_length"))
            .and_then(|length| usize::try_from(length).ok())
            .ok_or("it does not say how long its context is")?;
        // Positions are computed up front for the context that it was trained for, except for llama, where the
        // implementation stops at its own limit.
        let able = if architecture == "llama" { trained.min(quantized_llama::MAX_SEQ_LEN) } else { trained };
        let context = wanted_context.map_or(able, |wanted| wanted.clamp(1, able));
        let tokens = Tokens::of_gguf(&mut content)?;
        let template = ChatTemplate::of_gguf(&content, &tokens)?;
        let stops = stops(&content, &tokens);
        if stops.is_empty() {
            return Err("it names no token that ends an answer".to_owned());
        }
        let device = Device::Cpu;
        let (content, mut file) =
            recode(content, file).map_err(|error| format!("its weights cannot be read: {error}"))?;
        let weights = match architecture.as_str() {
            "qwen2" => quantized_qwen2::ModelWeights::from_gguf(content, &mut file, &device).map(Weights::Qwen2),
            "qwen3" => quantized_qwen3::ModelWeights::from_gguf(content, &mut file, &device).map(Weights::Qwen3),
            _ => quantized_llama::ModelWeights::from_gguf(content, &mut file, &device).map(Weights::Llama),
        };
        let weights = weights.map_err(|error| format!("its weights cannot be loaded: {error}"))?;
        Ok(Self { architecture, context, tokens: Arc::new(tokens), template, stops, weights })
    }

    /// Forgets the conversation before and computes the prompt; returns the scores of the token that follows it, or
    /// nothing when it was cancelled.
    ///
    /// The prompt goes in by chunks whose sizes are powers of two, each at a multiple of its size, for two reasons:
    /// attention over a long prompt at once takes memory by the square of its length, and the implementations keep
    /// one attention mask for every pair of size and place forever, of which there are few this way.
    pub(super) fn prefill(&mut self, prompt: &[u32], cancelled: &dyn Fn() -> bool) -> Result<Option<Vec<f32>>, String> {
        match &mut self.weights {
            Weights::Llama(weights) => weights.clear_kv_cache(),
            Weights::Qwen2(weights) => weights.clear_kv_cache(),
            Weights::Qwen3(weights) => weights.clear_kv_cache(),
        }
        let mut rest = prompt;
        let mut place = 0;
        let mut scores = Err("the prompt is empty".to_owned());
        while !rest.is_empty() {
            if cancelled() {
                return Ok(None);
            }
            let size = if rest.len() >= CHUNK { CHUNK } else { 1 << rest.len().ilog2() };
            let (chunk, after) = rest.split_at(size);
            scores = self.forward(chunk, place);
            place += size;
            rest = after;
        }
        scores.map(Some)
    }

    /// Computes the scores of the token that follows `tokens`, the first of which stands at `place`.
    pub(super) fn forward(&mut self, tokens: &[u32], place: usize) -> Result<Vec<f32>, String> {
        let mut compute = || {
            let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
            let scores = match &mut self.weights {
                Weights::Llama(weights) => weights.forward(&input, place)?,
                Weights::Qwen2(weights) => weights.forward(&input, place)?,
                Weights::Qwen3(weights) => weights.forward(&input, place)?,
            };
            scores.squeeze(0)?.to_vec1::<f32>()
        };
        compute().map_err(|error: candle_core::Error| format!("the model failed to compute: {error}"))
    }
}

/// Where weights are read from.
trait Source: Read + Seek {}
impl<T: Read + Seek> Source for T {}

/// The same model with its slow weights in the fast encoding, or the file as it is when it has none or too many.
fn recode(mut content: Content, mut file: BufReader<File>) -> candle_core::Result<(Content, Box<dyn Source>)> {
    let slow = content.tensor_infos.values().filter(|info| SLOW.contains(&info.ggml_dtype));
    let count = slow.fold(0usize, |count, info| count.saturating_add(info.shape.elem_count()));
    if count == 0 || count > RECODED {
        return Ok((content, Box::new(file)));
    }
    let mut tensors = Vec::new();
    for (name, info) in &content.tensor_infos {
        let tensor = content.tensor(&mut file, name, &Device::Cpu)?;
        let tensor = if SLOW.contains(&info.ggml_dtype) {
            QTensor::quantize(&tensor.dequantize(&Device::Cpu)?, FAST)?
        } else {
            tensor
        };
        tensors.push((name.as_str(), tensor));
    }
    let references: Vec<_> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let mut bytes = Cursor::new(Vec::new());
    gguf_file::write(&mut bytes, &[], &references)?;
    drop(references);
    drop(tensors);
    bytes.rewind()?;
    let recoded = Content::read(&mut bytes)?;
    content.tensor_infos = recoded.tensor_infos;
    content.tensor_data_offset = recoded.tensor_data_offset;
    Ok((content, Box::new(bytes)))
}

/// Metadata that is text.
pub(super) fn text(content: &Content, key: &str) -> Option<String> {
    content.metadata.get(key)?.to_string().ok().cloned()
}

/// Metadata that is a whole number of any width.
pub(super) fn number(content: &Content, key: &str) -> Option<u64> {
    match *content.metadata.get(key)? {
        Value::U8(value) => Some(value.into()),
        Value::U16(value) => Some(value.into()),
        Value::U32(value) => Some(value.into()),
        Value::U64(value) => Some(value),
        Value::I8(value) => value.try_into().ok(),
        Value::I16(value) => value.try_into().ok(),
        Value::I32(value) => value.try_into().ok(),
        Value::I64(value) => value.try_into().ok(),
        _ => None,
    }
}

fn stops(content: &Content, tokens: &Tokens) -> HashSet<u32> {
    let named = ["eos", "eot", "eom"]
        .iter()
        .filter_map(|name| number(content, &format!("tokenizer.ggml.{name}_token_id")))
        .filter_map(|id| u32::try_from(id).ok());
    // Some files name only one end, while the model was taught to write another.
    let known = ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "</s>", "<|end|>"]
        .iter()
        .filter_map(|token| tokens.special(token));
    named.chain(known).collect()
}
