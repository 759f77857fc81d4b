//! Where the cluster is, how to get in, and which certificates are trusted.
//!
//! Invariants: nothing here shows a password, in no error and no debug output; what the client would pass over with or
//! without a warning (a parameter that it does not know, a key without its certificate) or with a panic (a file of certificates that is none) is refused first,
//! with its reason.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eventstore::ClientSettings;
use percent_encoding::percent_decode;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::OpenError;

/// What a connection string may set, in lower case: the client passes over everything else.
const PARAMETERS: [&str; 13] = [
    "maxdiscoverattempts",
    "discoveryinterval",
    "gossiptimeout",
    "tls",
    "tlsverifycert",
    "nodepreference",
    "keepaliveinterval",
    "keepalivetimeout",
    "defaultdeadline",
    "connectionname",
    "usercertfile",
    "userkeyfile",
    "tlscafile",
];

/// A connection string that was understood.
#[derive(Clone)]
pub(super) struct Connect {
    pub(super) settings: ClientSettings,
    /// As it was written.
    url: String,
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("hosts", self.settings.hosts()).finish_non_exhaustive()
    }
}

impl Connect {
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        check_parameters(url)?;
        Ok(Self { settings: settings(url)?, url: url.to_owned() })
    }

    /// The same way in, to one of the nodes alone.
    pub(super) fn to_node(&self, host: &str, port: u32) -> Option<ClientSettings> {
        let (_, rest) = self.url.split_once("://")?;
        let (address, parameters) = rest.split_once('?').unwrap_or((rest, ""));
        let login = address.rsplit_once('@').map_or(String::new(), |(login, _)| format!("{login}@"));
        settings(&format!("kurrentdb://{login}{host}:{port}?{parameters}")).ok()
    }

    /// Makes sure that the client finds the certificates that it is told to use.
    pub(super) fn check_certificates(&self) -> Result<(), OpenError> {
        if self.settings.is_secure_mode_enabled() {
            self.tls().map(drop)?;
        }
        Ok(())
    }

    /// The client's TLS, made by the same rules: the authorities of `tlsCaFile` alone, or those of the system.
    pub(super) fn tls(&self) -> Result<ClientConfig, OpenError> {
        let mut roots = RootCertStore::empty();
        match self.settings.tls_ca_file().map(PathBuf::from) {
            Some(file) => {
                for certificate in certificates(&file)? {
                    roots.add(certificate).map_err(|error| refused(&file, &error))?;
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| OpenError::Url(format!("TLS cannot be used: {error}")))?
            .with_root_certificates(roots);
        let mut config = match self.settings.user_certificate() {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let (certificate, key) = (Path::new(certificate), Path::new(key));
                let private = PrivateKeyDer::from_pem_file(key).map_err(|error| refused(key, &error))?;
                builder
                    .with_client_auth_cert(certificates(certificate)?, private)
                    .map_err(|error| refused(certificate, &error))?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

/// What the client makes of a connection string, with user and password as they are meant.
fn settings(url: &str) -> Result<ClientSettings, String> {
    let settings = hurried(url).parse::<ClientSettings>().map_err(|error| match error.error() {
        // The client's message is then the whole string, password and all.
        Some(error) => error.to_string(),
        None => error.message().to_owned(),
    })?;
    if settings.default_authenticated_user().is_some() { decoded(settings) } else { Ok(settings) }
}

/// The client takes user and password as they stand in the URL, where everything but plain characters is encoded by `%`,
/// and sends them so. It has no other way to give them to it than this detour.
fn decoded(settings: ClientSettings) -> Result<ClientSettings, String> {
    let unusable = || "the user or the password cannot be decoded".to_owned();
    // What cannot be written so (a time without an end) has to do without the detour.
    let Ok(mut value) = toml::Value::try_from(&settings) else { return Ok(settings) };
    let login = value.get_mut("default_user_name").and_then(toml::Value::as_table_mut).ok_or_else(unusable)?;
    let mut changed = false;
    for (_, part) in login.iter_mut() {
        let bytes = part.as_array().ok_or_else(unusable)?.iter();
        let bytes: Option<Vec<u8>> = bytes.map(|byte| byte.as_integer()?.try_into().ok()).collect();
        let bytes = bytes.ok_or_else(unusable)?;
        let meant = percent_decode(&bytes).decode_utf8().map_err(|_| unusable())?;
        changed |= meant.as_bytes() != bytes;
        *part = toml::Value::String(meant.into_owned());
    }
    if changed { value.try_into().map_err(|_| unusable()) } else { Ok(settings) }
}

fn refused(file: &Path, error: &dyn fmt::Display) -> OpenError {
    OpenError::Certificates { file: file.to_owned(), what: error.to_string() }
}

/// The certificates of a file; at least one.
fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, OpenError> {
    let read = CertificateDer::pem_file_iter(file).map_err(|error| refused(file, &error))?;
    let read = read.collect::<Result<Vec<_>, _>>().map_err(|error| refused(file, &error))?;
    if read.is_empty() {
        return Err(refused(file, &"it holds no certificate in PEM"));
    }
    Ok(read)
}

fn check_parameters(url: &str) -> Result<(), String> {
    let Some((_, parameters)) = url.split_once('?') else { return Ok(()) };
    let (mut certificates, mut keys) = (0, 0);
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
        let lower = name.to_ascii_lowercase();
        certificates += u32::from(lower == "usercertfile");
        keys += u32::from(lower == "userkeyfile");
        if !PARAMETERS.contains(&lower.as_str()) {
            return Err(format!(
                "`{name}` is no parameter of it; there are tls, tlsCaFile, tlsVerifyCert, userCertFile, userKeyFile, \
                 nodePreference, maxDiscoverAttempts, discoveryInterval, gossipTimeout, keepAliveInterval, \
                 keepAliveTimeout, defaultDeadline and connectionName"
            ));
        }
    }
    if certificates != keys {
        return Err(
            "userCertFile and userKeyFile go together: a certificate of the client's own and its key".to_owned()
        );
    }
    Ok(())
}

/// The client pauses before its first attempt to connect, half a second unless told otherwise; a client that is replaced
/// after every failure must not.
fn hurried(url: &str) -> String {
    const PAUSE: &str = "discoveryInterval=20";
    match url.split_once('?') {
        Some((_, parameters)) if parameters.to_ascii_lowercase().contains("discoveryinterval=") => url.to_owned(),
        Some((address, "")) => format!("{address}?{PAUSE}"),
        Some(_) => format!("{url}&{PAUSE}"),
        None => format!("{url}?{PAUSE}"),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for wrong in [
            "kurrentdb://admin:s3cret@node1:x1?tls=true",
            "kurrentdb://admin:s3cret@node1:1,node2:x?tls=true",
            "kurrentdb://admin:s3cret@node1:1?tls=maybe",
            "kurrentdb://admin:s3cret@node1:1/path",
            "kurrentdb://admin:s3cret@",
        ] {
            let said = Connect::parse(wrong).unwrap_err();
            assert!(!said.contains("s3cret"), "{said}");
        }
        let right = Connect::parse("kurrentdb://admin:s3cret@node1:1,node2:2").unwrap();
        assert!(!format!("{right:?}").contains("s3cret"), "{right:?}");
    }

    #[test]
    fn what_the_client_would_pass_over_is_refused() {
        let said = Connect::parse("kurrentdb://node1:1?tlsCa=/ca.crt").unwrap_err();
        assert!(said.contains("`tlsCa`") && said.contains("tlsCaFile"), "{said}");
    }

    #[test]
    fn user_and_password_are_taken_as_they_are_meant() {
        let parsed = |url: &str| Connect::parse(url).unwrap().settings;
        for url in [
            "kurrentdb://a%40b:p%20%23%2F%25@node1:1?gossipTimeout=7&tls=false",
            "kurrentdb://a%40b:p%20%23%2F%25@node1:1",
        ] {
            let login = format!("{:?}", parsed(url).default_authenticated_user());
            assert!(login.contains("a@b") && login.contains("p #/%"), "{login}");
            assert_eq!(parsed(url).hosts().len(), 1);
        }
        let settings = parsed("kurrentdb://a:%C3%A9@node1:1,node2:2?gossipTimeout=7&nodePreference=follower&tls=false");
        assert_eq!((settings.gossip_timeout().as_millis(), settings.hosts().len()), (7, 2));
        assert_eq!(settings.node_preference(), eventstore::NodePreference::Follower);
        assert!(!settings.is_secure_mode_enabled());
    }

    #[test]
    fn one_node_is_asked_alone() {
        let all = Connect::parse("kurrentdb+discover://u:p@cluster:2113?tls=false&gossipTimeout=100").unwrap();
        let one = all.to_node("10.0.0.7", 2114).unwrap();
        assert!(!one.is_dns_discovery_enabled() && !one.is_secure_mode_enabled());
        assert_eq!((one.hosts().len(), one.hosts()[0].port), (1, 2114));
        assert!(one.default_authenticated_user().is_some());
    }
}
