//! Server-sent events, decoded from bytes as they come (WHATWG HTML, "Server-sent events", §9.2.6).
//!
//! The result never depends on where the bytes are cut: a line is decoded only once its end has been seen, so neither
//! a cut inside a UTF-8 character nor one between CR and LF can be noticed. What is unfinished is bounded.

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its type; empty when the server named none, which means `message`.
    pub name: String,
    /// Its data lines, joined by line feeds.
    pub data: String,
}

/// An event that is longer than the decoder may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("one event of the stream is longer than {limit} bytes")]
pub struct TooLong {
    /// The limit in bytes.
    pub limit: usize,
}

/// Turns bytes into events.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    line: Vec<u8>,
    name: String,
    data: Option<String>,
    after_cr: bool,
    started: bool,
}

impl Decoder {
    /// A decoder for events of at most `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, line: Vec::new(), name: String::new(), data: None, after_cr: false, started: false }
    }

    /// Takes more bytes and returns the events that are now complete, and an error when one outgrows the limit; the
    /// decoder is of no use after that. Events before an overlong one are returned all the same, because otherwise
    /// they would be seen or not depending on where the bytes are cut.
    pub fn push(&mut self, bytes: &[u8]) -> (Vec<Event>, Option<TooLong>) {
        let mut events = Vec::new();
        for &byte in bytes {
            let after_cr = std::mem::take(&mut self.after_cr);
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    events.extend(self.end_line());
                }
                _ => self.line.push(byte),
            }
            let held = self.line.len() + self.name.len() + self.data.as_ref().map_or(0, String::len);
            if held > self.limit {
                return (events, Some(TooLong { limit: self.limit }));
            }
        }
        (events, None)
    }

    fn end_line(&mut self) -> Option<Event> {
        let bytes = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        let line = if std::mem::replace(&mut self.started, true) {
            line.as_ref()
        } else {
            line.strip_prefix('\u{feff}').unwrap_or(&line)
        };
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            return self.data.take().map(|data| Event { name, data });
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => match &mut self.data {
                Some(data) => {
                    data.push('\n');
                    data.push_str(value);
                }
                None => self.data = Some(value.to_owned()),
            },
            "event" => value.clone_into(&mut self.name),
            // Comments (an empty field name), `id` and `retry` mean nothing to one request and its answer.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Decoder, Event, TooLong};

    fn all(bytes: &[u8]) -> Vec<Event> {
        Decoder::new(1000).push(bytes).0
    }

    fn event(name: &str, data: &str) -> Event {
        Event { name: name.into(), data: data.into() }
    }

    #[test]
    fn follows_the_standard() {
        assert_eq!(all(b"data: a\n\n"), [event("", "a")]);
        assert_eq!(all("\u{feff}data:a\r\n\r\n".as_bytes()), [event("", "a")]);
        assert_eq!(all(b"data: a\rdata:  b\r\r"), [event("", "a\n b")]);
        assert_eq!(all(b"event: error\ndata: x\nid: 4\nretry: 9\n\n"), [event("error", "x")]);
        assert_eq!(all(b": keep-alive\n\n\n\ndata\n\n"), [event("", "")]);
        assert_eq!(all(b"event: lost\n\ndata: a\n\n"), [event("", "a")]);
        assert_eq!(all(b"data: never finished\n"), []);
    }

    #[test]
    fn holds_no_more_than_its_limit() {
        let mut decoder = Decoder::new(8);
        assert_eq!(decoder.push(b"data: ab\n\ndata: cd\n\n").0.len(), 2);
        let (events, error) = decoder.push(b"data: e\n\ndata: abc");
        assert_eq!((events.len(), error), (1, Some(TooLong { limit: 8 })));
    }
}
