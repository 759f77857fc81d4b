//! Why a cluster cannot be used, in words for whoever set it up.
//!
//! The client says little: one that knows several nodes says that it has tried a few times, and one that meets a
//! certificate which it does not trust says that it could not connect. So when a journal cannot be opened, each node is
//! looked at once more, step by step: its name, the connection, the certificate, the login. Nothing is written.

use std::sync::Arc;
use std::time::Duration;

use eventstore::{Client, Error, ReadAllOptions};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, Error as TlsError};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::connect::Connect;

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a server may take to say the first thing after a handshake; one that speaks HTTP/2 does so by itself.
const ANSWER: Duration = Duration::from_millis(500);

/// What is wrong with each node that was named; `None` when nothing can be found.
pub(super) async fn diagnose(connect: &Connect) -> Option<String> {
    let looks = connect.settings.hosts().iter().map(|node| async move {
        let (host, port) = (node.host.as_str(), node.port);
        look(connect, host, port).await.map(|what| format!("{host}:{port}: {what}"))
    });
    let found: Vec<String> = futures_util::future::join_all(looks).await.into_iter().flatten().collect();
    (!found.is_empty()).then(|| found.join("; "))
}

/// What is wrong with one node.
async fn look(connect: &Connect, host: &str, port: u32) -> Option<String> {
    let settings = &connect.settings;
    let port = u16::try_from(port).ok()?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let stream = match tokio::time::timeout(PATIENCE, TcpStream::connect((bare, port))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Some(format!("cannot be reached ({error})")),
        Err(_) => return Some("cannot be reached within 3 s".to_owned()),
    };
    if settings.is_secure_mode_enabled() && settings.is_tls_certificate_verification_enabled() {
        let config = connect.tls().ok()?;
        let name = match ServerName::try_from(bare.to_owned()) {
            Ok(name) => name,
            Err(_) => return Some("no certificate can be for this name".to_owned()),
        };
        let shaking = tokio_rustls::TlsConnector::from(Arc::new(config)).connect(name, stream);
        match tokio::time::timeout(PATIENCE, shaking).await {
            Ok(Ok(mut shaken)) => {
                // What it thinks of our own certificate, it says only after the handshake.
                if let Ok(Err(error)) = tokio::time::timeout(ANSWER, shaken.read_u8()).await {
                    return Some(handshake(connect, bare, &error));
                }
            }
            Ok(Err(error)) => return Some(handshake(connect, bare, &error)),
            Err(_) => return Some("does not answer the TLS handshake; without TLS it is `tls=false`".to_owned()),
        }
    }
    ask(connect, host, u32::from(port)).await
}

/// What a failed handshake means.
fn handshake(connect: &Connect, host: &str, error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>());
    match inner {
        Some(TlsError::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature)) => {
            match connect.settings.tls_ca_file() {
                Some(file) => format!("its certificate was not issued by an authority in {file}"),
                None => "its certificate was not issued by an authority that this system trusts; `tlsCaFile=` names \
                         the file with the cluster's own"
                    .to_owned(),
            }
        }
        Some(TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => format!("its certificate is not for the name `{host}`"),
        Some(TlsError::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. })) => {
            "its certificate has expired".to_owned()
        }
        Some(TlsError::AlertReceived(AlertDescription::CertificateRequired)) => {
            "it lets in only who shows a certificate: `userCertFile=` and `userKeyFile=`".to_owned()
        }
        Some(TlsError::AlertReceived(alert)) if connect.settings.user_certificate().is_some() => {
            format!("it does not take the certificate in `userCertFile` ({alert:?})")
        }
        Some(TlsError::InvalidMessage(_)) => "it does not speak TLS; without TLS it is `tls=false`".to_owned(),
        Some(error) => format!("no TLS with it: {error}"),
        None => format!("no TLS with it: {error}"),
    }
}

/// Asks the node for an event, past the choice of nodes.
async fn ask(connect: &Connect, host: &str, port: u32) -> Option<String> {
    let settings = connect.to_node(host, port)?;
    let with_login = settings.default_authenticated_user().is_some();
    let secured = settings.is_secure_mode_enabled();
    let client = Client::new(settings).ok()?;
    let asking = async {
        let mut found = client.read_all(&ReadAllOptions::default().max_count(1)).await?;
        found.next().await.map(drop)
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        // Another node is the leader: whoever is told so was let in.
        Ok(Ok(()) | Err(Error::NotLeaderException(_))) => None,
        Ok(Err(Error::AccessDenied)) if with_login => {
            Some("the user or the password is wrong, or this user may not read `$all`".to_owned())
        }
        Ok(Err(Error::AccessDenied)) => {
            Some("it wants to know who asks; the connection string begins with kurrentdb://user:password@".to_owned())
        }
        Ok(Err(Error::GrpcConnectionError(_) | Error::ServerError(_))) if !secured => {
            Some("does not answer as a KurrentDB without TLS does; with TLS it is `tls=true`".to_owned())
        }
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some("does not answer within 3 s".to_owned()),
    }
}
