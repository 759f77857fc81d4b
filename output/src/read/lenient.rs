//! JSON that is half broken, as models write it: fences and commas too many, quotes of the wrong kind or not escaped, line
//! ends within texts, comments, and an end that was cut off.

use serde_json::{Map, Number, Value};

/// So deep may values nest.
const DEEPEST: usize = 64;

/// The value that a text begins with; `None` when it begins with none. Correct JSON is read as JSON.
pub(crate) fn parse(text: &str) -> Option<Value> {
    let text = text.trim();
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let mut reader = Reader { letters: text.chars().collect(), at: 0 };
    reader.value(0)
}

struct Reader {
    letters: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn ahead(&self, by: usize) -> Option<char> {
        self.letters.get(self.at.saturating_add(by)).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    /// Over spaces and comments.
    fn skip(&mut self) {
        loop {
            match (self.peek(), self.ahead(1)) {
                (Some(letter), _) if letter.is_whitespace() => self.step(),
                (Some('/'), Some('/')) => self.skip_until(|reader| reader.peek() == Some('\n')),
                (Some('/'), Some('*')) => {
                    self.skip_until(|reader| (reader.peek(), reader.ahead(1)) == (Some('*'), Some('/')));
                    self.at = self.at.saturating_add(2);
                }
                _ => return,
            }
        }
    }

    fn skip_until(&mut self, end: impl Fn(&Self) -> bool) {
        while self.peek().is_some() && !end(self) {
            self.step();
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.skip();
        if depth > DEEPEST {
            return None;
        }
        match self.peek()? {
            '{' => Some(self.object(depth)),
            '[' => Some(self.array(depth)),
            quote if closing(quote).is_some() => Some(Value::String(self.string())),
            _ => self.word(),
        }
    }

    fn object(&mut self, depth: usize) -> Value {
        self.step();
        let mut fields = Map::new();
        loop {
            self.skip();
            match self.peek() {
                None => break,
                Some('}') => {
                    self.step();
                    break;
                }
                Some(',') => self.step(),
                // Somebody forgot a bracket.
                Some(']') => break,
                Some(_) => {
                    let before = self.at;
                    let key = self.key();
                    self.skip();
                    if self.peek() == Some(':') {
                        self.step();
                        let value = self.value(depth.saturating_add(1));
                        fields.insert(key, value.unwrap_or(Value::Null));
                    }
                    if self.at == before {
                        self.step();
                    }
                }
            }
        }
        Value::Object(fields)
    }

    fn key(&mut self) -> String {
        if self.peek().is_some_and(|quote| closing(quote).is_some()) {
            return self.string();
        }
        let mut key = String::new();
        while let Some(letter) = self.peek().filter(|letter| !matches!(letter, ':' | ',' | '}' | '\n')) {
            key.push(letter);
            self.step();
        }
        key.trim().to_owned()
    }

    fn array(&mut self, depth: usize) -> Value {
        self.step();
        let mut values = Vec::new();
        loop {
            self.skip();
            match self.peek() {
                None => break,
                Some(']') => {
                    self.step();
                    break;
                }
                Some(',') => self.step(),
                Some('}') => break,
                Some(_) => {
                    let before = self.at;
                    values.extend(self.value(depth.saturating_add(1)));
                    if self.at == before {
                        self.step();
                    }
                }
            }
        }
        Value::Array(values)
    }

    fn string(&mut self) -> String {
        let close = self.peek().and_then(closing).unwrap_or('"');
        self.step();
        let mut text = String::new();
        while let Some(letter) = self.peek() {
            match letter {
                '\\' => {
                    self.step();
                    self.escape(&mut text);
                    continue;
                }
                letter if letter == close && self.ends() => {
                    self.step();
                    return text;
                }
                letter => text.push(letter),
            }
            self.step();
        }
        text
    }

    /// Whether the quote here ends its text: then what comes next belongs to JSON. Else somebody forgot to escape it.
    fn ends(&self) -> bool {
        let mut next = self.at.saturating_add(1);
        while self.letters.get(next).is_some_and(|letter| letter.is_whitespace()) {
            next = next.saturating_add(1);
        }
        matches!(self.letters.get(next), None | Some(',' | '}' | ']' | ':' | '/'))
            || (self.letters.get(next) == Some(&'"') && next > self.at.saturating_add(1))
    }

    fn escape(&mut self, text: &mut String) {
        let Some(letter) = self.peek() else { return };
        self.step();
        match letter {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'b' | 'f' => {}
            'u' => {
                let first = self.unit();
                let code = match first {
                    Some(high @ 0xD800..=0xDBFF) if (self.peek(), self.ahead(1)) == (Some('\\'), Some('u')) => {
                        self.at = self.at.saturating_add(2);
                        let low = self.unit().filter(|low| (0xDC00..=0xDFFF).contains(low));
                        low.and_then(|low| {
                            let (high, low) = (high.checked_sub(0xD800)?, low.checked_sub(0xDC00)?);
                            high.checked_mul(0x400)?.checked_add(low)?.checked_add(0x10000)
                        })
                    }
                    other => other,
                };
                text.push(code.and_then(char::from_u32).unwrap_or('\u{FFFD}'));
            }
            other => text.push(other),
        }
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Option<u32> {
        let mut unit: u32 = 0;
        for _ in 0..4 {
            let digit = self.peek()?.to_digit(16)?;
            unit = unit.checked_mul(16)?.checked_add(digit)?;
            self.step();
        }
        Some(unit)
    }

    /// A number, or a word that stands for a value; other words without quotes are texts.
    fn word(&mut self) -> Option<Value> {
        let mut word = String::new();
        while let Some(letter) = self.peek().filter(|letter| !matches!(letter, ',' | '}' | ']' | '\n' | ':')) {
            word.push(letter);
            self.step();
        }
        let word = word.trim();
        Some(match word {
            "" => return None,
            "true" | "True" => Value::Bool(true),
            "false" | "False" => Value::Bool(false),
            "null" | "None" | "undefined" => Value::Null,
            word => match word.parse::<Number>() {
                Ok(number) => Value::Number(number),
                Err(_) => Value::String(word.to_owned()),
            },
        })
    }
}

/// The quote that ends what this one began.
fn closing(quote: char) -> Option<char> {
    match quote {
        '"' => Some('"'),
        '\'' => Some('\''),
        '“' | '”' => Some('”'),
        '«' => Some('»'),
        _ => None,
    }
}
