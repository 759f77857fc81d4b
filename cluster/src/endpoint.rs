use std::path::{Path, PathBuf};

/// Where a server is to be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    socket_dir: PathBuf,
    port: u16,
    user: String,
    database: String,
}

impl Endpoint {
    pub(crate) fn new(socket_dir: PathBuf, port: u16, user: String, database: String) -> Self {
        Self { socket_dir, port, user, database }
    }

    /// The directory of the Unix socket.
    #[must_use]
    pub fn socket_dir(&self) -> &Path {
        &self.socket_dir
    }

    /// The connection URL.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of(&self.database)
    }

    /// The connection URL of another database of the same server.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        let socket = percent_encode(self.socket_dir.as_os_str().as_encoded_bytes());
        format!("postgres://{}@localhost:{}/{database}?host={socket}", self.user, self.port)
    }
}

/// Everything but unreserved characters (RFC 3986) and `/` is encoded.
fn percent_encode(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(*byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_spaces_is_encoded() {
        let endpoint = Endpoint::new("/my data/ü".into(), 5432, "hishamos".into(), "hishamos".into());
        assert_eq!(endpoint.url(), "postgres://hishamos@localhost:5432/hishamos?host=/my%20data/%C3%BC");
    }
}
