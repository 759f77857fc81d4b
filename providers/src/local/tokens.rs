//! Text to tokens and back, as the GGUF file says.
//!
//! How text is cut before it is tokenised differs between models that share everything else, and a wrong cut shows
//! only as a model that seems stupid. So a cut that is not known is refused instead of guessed.

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use tokenizers::Tokenizer;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;

use super::model::text;

const PRE: &str = "tokenizer.ggml.pre";

/// The tokenizer of a model.
pub(super) struct Tokens {
    /// Knows special tokens in text.
    template: Tokenizer,
    /// Takes special tokens in text for the characters that they are written in.
    plain: Tokenizer,
}

impl Tokens {
    pub(super) fn of_gguf(content: &mut Content) -> Result<Self, String> {
        let cut = text(content, PRE).ok_or("it does not say how text is cut before tokenising")?;
        let own = match cut.as_str() {
            "qwen2" | "llama3" | "smaug-bpe" => None,
            "llama-bpe" => {
                // The library knows this cut by another name, and that such models look whole words up first.
                content.metadata.insert(PRE.to_owned(), Value::String("llama3".to_owned()));
                content.metadata.insert("tokenizer.ggml.ignore_merges".to_owned(), Value::Bool(true));
                None
            }
            "gpt-2" | "gpt2" => Some(PreTokenizerWrapper::from(byte_level())),
            "smollm" => Some(Sequence::new(vec![Digits::new(true).into(), byte_level().into()]).into()),
            other => {
                let known = "smollm, llama-bpe, llama3, smaug-bpe, qwen2, gpt-2";
                return Err(format!("it cuts text before tokenising as `{other}`, and only these are known: {known}"));
            }
        };
        let mut template =
            Tokenizer::from_gguf(content).map_err(|error| format!("its tokenizer cannot be loaded: {error}"))?;
        if let Some(own) = own {
            template.with_pre_tokenizer(Some(own));
        }
        let mut plain = template.clone();
        plain.set_encode_special_tokens(true);
        Ok(Self { template, plain })
    }

    /// Tokens of a template's own text, in which special tokens count as such.
    pub(super) fn of_template(&self, text: &str) -> Result<Vec<u32>, String> {
        encode(&self.template, text)
    }

    /// Tokens of text from outside. Whatever it says, it contains no special token, so it cannot end its own message
    /// or begin one in the name of the system.
    pub(super) fn of_content(&self, text: &str) -> Result<Vec<u32>, String> {
        encode(&self.plain, text)
    }

    /// The id of a token by its text.
    pub(super) fn special(&self, token: &str) -> Option<u32> {
        self.template.token_to_id(token)
    }

    /// The text of a token by its id.
    pub(super) fn name(&self, id: u32) -> Option<String> {
        self.template.id_to_token(id)
    }

    /// Reads tokens one by one. Gives out only whole characters, however many tokens one takes.
    pub(super) fn reader(&self) -> impl FnMut(u32) -> Result<Option<String>, String> + '_ {
        let mut stream = self.template.decode_stream(true);
        move |token| stream.step(token).map_err(|error| format!("the answer cannot be decoded: {error}"))
    }
}

fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, String> {
    let encoding = tokenizer.encode(text, false).map_err(|error| format!("the prompt cannot be tokenised: {error}"))?;
    Ok(encoding.get_ids().to_vec())
}

/// The cut of GPT-2, without a space before the first word.
fn byte_level() -> ByteLevel {
    ByteLevel::new(false, true, true)
}
