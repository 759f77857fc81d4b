//! From a request to the tokens of a prompt, through the chat template that the GGUF file carries.
//!
//! What people write never passes through the template: it is rendered with marks in the place of the texts, and each
//! text is tokenised on its own with special tokens switched off. So no text can pose as the template's own.

use candle_core::quantized::gguf_file::{Content, Value};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, context};

use super::model::{number, text};
use super::tokens::Tokens;
use crate::Request;

/// The template of models that were taught ChatML but carry no template.
const CHATML: &str = "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n\
                      {% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

/// Characters for private use, which no template contains.
const SYSTEM: &str = "\u{f0000}\u{f0001}\u{f0000}";
const USER: &str = "\u{f0000}\u{f0002}\u{f0000}";

/// A chat template and what it needs.
pub(super) struct ChatTemplate {
    environment: Environment<'static>,
    bos: Option<(u32, String)>,
    eos: String,
    add_bos: bool,
}

/// A piece of a rendered template.
#[derive(Debug, PartialEq, Eq)]
enum Piece<'a> {
    Template(&'a str),
    Content(&'a str),
}

impl ChatTemplate {
    pub(super) fn of_gguf(content: &Content, tokens: &Tokens) -> Result<Self, String> {
        let source = match text(content, "tokenizer.chat_template") {
            Some(source) => source,
            None if tokens.special("<|im_start|>").is_some() && tokens.special("<|im_end|>").is_some() => {
                CHATML.to_owned()
            }
            None => {
                let hint = "it carries no chat template; take an instruction-tuned (chat) variant of the model";
                return Err(hint.to_owned());
            }
        };
        let token = |name: &str| {
            let id = u32::try_from(number(content, &format!("tokenizer.ggml.{name}_token_id"))?).ok()?;
            Some((id, tokens.name(id)?))
        };
        let eos = token("eos").map(|(_, text)| text).unwrap_or_default();
        let add_bos = matches!(content.metadata.get("tokenizer.ggml.add_bos_token"), Some(Value::Bool(true)));
        Self::new(source, token("bos"), eos, add_bos)
    }

    fn new(source: String, bos: Option<(u32, String)>, eos: String, add_bos: bool) -> Result<Self, String> {
        let mut environment = Environment::new();
        // As Hugging Face renders chat templates.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| error.to_string())?);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |why: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, why))
        });
        environment
            .add_template_owned("chat", source)
            .map_err(|error| format!("its chat template cannot be read: {error:#}"))?;
        let template = Self { environment, bos, eos, add_bos };
        // A template that fails should fail when the model is loaded.
        template.render(true)?;
        Ok(template)
    }

    /// The tokens to ask a request with.
    pub(super) fn prompt(&self, request: &Request, tokens: &Tokens) -> Result<Vec<u32>, String> {
        let system = request.system.as_deref().filter(|system| !system.is_empty());
        let rendered = self.render(system.is_some())?;
        let mut prompt = Vec::new();
        for piece in pieces(&rendered, system.unwrap_or_default(), &request.user) {
            prompt.extend(match piece {
                Piece::Template(text) => tokens.of_template(text)?,
                Piece::Content(text) => tokens.of_content(text)?,
            });
        }
        if let Some((bos, _)) = self.bos.as_ref().filter(|(bos, _)| self.add_bos && prompt.first() != Some(bos)) {
            prompt.insert(0, *bos);
        }
        Ok(prompt)
    }

    fn render(&self, system: bool) -> Result<String, String> {
        let user = context! { role => "user", content => USER };
        let messages = if system { vec![context! { role => "system", content => SYSTEM }, user] } else { vec![user] };
        let bos = self.bos.as_ref().map_or("", |(_, text)| text);
        let values = context! {
            messages,
            add_generation_prompt => true,
            bos_token => bos,
            eos_token => self.eos.as_str(),
            // Models that can think aloud are asked not to: their thoughts would be taken for the answer.
            enable_thinking => false,
        };
        let template = self.environment.get_template("chat").map_err(|error| format!("{error:#}"))?;
        let rendered =
            template.render(values).map_err(|error| format!("the model's chat template failed: {error:#}"))?;
        let marks = |mark: &str| rendered.matches(mark).count();
        if marks(USER) != 1 || marks(SYSTEM) != usize::from(system) {
            return Err("the model's chat template leaves out a message or repeats one".to_owned());
        }
        Ok(rendered)
    }
}

/// Cuts a rendered template at its marks and puts the texts there.
fn pieces<'a>(rendered: &'a str, system: &'a str, user: &'a str) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    let mut rest = rendered;
    loop {
        let next = [(SYSTEM, system), (USER, user)]
            .into_iter()
            .filter_map(|(mark, text)| rest.split_once(mark).map(|(before, after)| (before, text, after)))
            .min_by_key(|(before, ..)| before.len());
        let Some((before, text, after)) = next else {
            pieces.push(Piece::Template(rest));
            break;
        };
        pieces.push(Piece::Template(before));
        pieces.push(Piece::Content(text));
        rest = after;
    }
    pieces.retain(|piece| !matches!(piece, Piece::Template("") | Piece::Content("")));
    pieces
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::{CHATML, ChatTemplate, Piece, pieces};

    fn rendered(source: &str, system: bool) -> Result<String, String> {
        let bos = Some((1, "<s>".to_owned()));
        ChatTemplate::new(source.to_owned(), bos, "</s>".to_owned(), false)?.render(system)
    }

    #[test]
    fn texts_stand_beside_the_template_not_in_it() {
        let rendered = rendered(CHATML, true).unwrap();
        let expected = [
            Piece::Template("<|im_start|>system\n"),
            Piece::Content("{{ 1 }}"),
            Piece::Template("<|im_end|>\n<|im_start|>user\n"),
            Piece::Content("<|im_end|>"),
            Piece::Template("<|im_end|>\n<|im_start|>assistant\n"),
        ];
        assert_eq!(pieces(&rendered, "{{ 1 }}", "<|im_end|>"), expected);
        assert_eq!(pieces(&rendered, "", "").len(), 3);
    }

    #[test]
    fn python_methods_and_special_tokens_work() {
        let source = "{{ bos_token }}{% for m in messages %}\n  {% if m['role'].startswith('sys') %}\nS{% endif %}\n\
                      {{ m['content'].strip() }}{{ eos_token }}{% endfor %}";
        let text = rendered(source, true).unwrap();
        assert!(text.starts_with("<s>S") && text.ends_with("</s>"), "{text:?}");
    }

    #[test]
    fn a_template_that_cannot_serve_is_refused_at_once() {
        assert!(rendered("{% for %}", false).unwrap_err().contains("cannot be read"));
        assert!(rendered("{{ raise_exception('no system role') }}", false).unwrap_err().contains("no system role"));
        assert!(rendered("nothing of it", false).unwrap_err().contains("leaves out"));
        assert!(rendered("{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}", false).is_err());
    }
}
