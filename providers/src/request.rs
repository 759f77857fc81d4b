use std::time::Duration;

/// What a platform is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// How the model is told to work; `None` or empty leaves the platform's own default.
    pub system: Option<String>,
    /// The prompt.
    pub user: String,
    /// The model; `None` takes the platform's default.
    pub model: Option<String>,
    /// Sampling temperature in thousandths, 0 to 2000.
    pub temperature_milli: Option<u16>,
    /// The longest answer, in tokens.
    pub max_tokens: Option<u32>,
    /// Nucleus sampling in thousandths, 1 to 1000.
    pub top_p_milli: Option<u16>,
    /// Penalty for frequent tokens in thousandths, -2000 to 2000.
    pub frequency_penalty_milli: Option<i16>,
    /// Penalty for present tokens in thousandths, -2000 to 2000.
    pub presence_penalty_milli: Option<i16>,
    /// How long the whole call may take, waiting in a queue included. Not part of the [`hash`](Self::hash): it does
    /// not change what is asked.
    pub timeout: Duration,
}

impl Request {
    /// A request that leaves everything else to the platform, with two minutes to answer.
    #[must_use]
    pub fn new(user: impl Into<String>) -> Self {
        Self {
            system: None,
            user: user.into(),
            model: None,
            temperature_milli: None,
            max_tokens: None,
            top_p_milli: None,
            frequency_penalty_milli: None,
            presence_penalty_milli: None,
            timeout: Duration::from_secs(120),
        }
    }

    /// BLAKE3 over what is asked. Equal requests have equal hashes, and no two different requests share an encoding:
    /// every field has a presence byte and a length. The encoding is frozen, because the journal keeps these hashes.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_derive_key("hishamos 2026 hash of a platform request");
        put(&mut hasher, self.system.as_deref().map(str::as_bytes));
        put(&mut hasher, Some(self.user.as_bytes()));
        put(&mut hasher, self.model.as_deref().map(str::as_bytes));
        put(&mut hasher, self.temperature_milli.map(u16::to_le_bytes).as_ref().map(<[u8; 2]>::as_slice));
        put(&mut hasher, self.max_tokens.map(u32::to_le_bytes).as_ref().map(<[u8; 4]>::as_slice));
        put(&mut hasher, self.top_p_milli.map(u16::to_le_bytes).as_ref().map(<[u8; 2]>::as_slice));
        put(&mut hasher, self.frequency_penalty_milli.map(i16::to_le_bytes).as_ref().map(<[u8; 2]>::as_slice));
        put(&mut hasher, self.presence_penalty_milli.map(i16::to_le_bytes).as_ref().map(<[u8; 2]>::as_slice));
        *hasher.finalize().as_bytes()
    }
}

fn put(hasher: &mut blake3::Hasher, field: Option<&[u8]>) {
    match field {
        None => {
            hasher.update(&[0]);
        }
        Some(bytes) => {
            hasher.update(&[1]);
            // A usize has at most 64 bits on every supported machine.
            hasher.update(&u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_le_bytes());
            hasher.update(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::Request;

    #[test]
    fn every_field_but_the_timeout_changes_the_hash() {
        let base = Request::new("ab");
        let variants = [
            base.clone(),
            Request { system: Some(String::new()), ..base.clone() },
            Request { system: Some("a".into()), user: "b".into(), ..base.clone() },
            Request { user: "abc".into(), ..base.clone() },
            Request { model: Some("m".into()), ..base.clone() },
            Request { temperature_milli: Some(0), ..base.clone() },
            Request { max_tokens: Some(0), ..base.clone() },
            Request { top_p_milli: Some(0), ..base.clone() },
            Request { frequency_penalty_milli: Some(0), ..base.clone() },
            Request { presence_penalty_milli: Some(0), ..base.clone() },
        ];
        let hashes: HashSet<_> = variants.iter().map(Request::hash).collect();
        assert_eq!(hashes.len(), variants.len());
        assert_eq!(Request { timeout: Duration::ZERO, ..base.clone() }.hash(), base.hash());
    }

    #[test]
    fn the_encoding_is_frozen() {
        let request = Request {
            system: Some("be brief".into()),
            model: Some("m".into()),
            temperature_milli: Some(200),
            max_tokens: Some(64),
            frequency_penalty_milli: Some(-1),
            ..Request::new("hello")
        };
        let hex: String = request.hash().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "65575b7e333a0b822f88b08fc286c85836810e05539aee3151083c84556d1bb9");
    }
}
