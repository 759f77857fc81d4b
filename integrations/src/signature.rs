//! Signatures of Standard Webhooks 1.0: HMAC-SHA256 over `id.timestamp.body`, in base64 behind `v1,`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// HMAC-SHA256 over parts that follow one another.
pub(crate) fn hmac(secret: &[u8], parts: &[&[u8]]) -> Option<Hmac<Sha256>> {
    // Keys of any length are taken; there is no error that could happen.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).ok()?;
    parts.iter().for_each(|part| mac.update(part));
    Some(mac)
}

/// What is signed.
pub(crate) fn signed<'a>(id: &'a str, timestamp: &'a str, body: &'a [u8]) -> [&'a [u8]; 5] {
    [id.as_bytes(), b".", timestamp.as_bytes(), b".", body]
}

/// The value of `webhook-signature` with one signature.
pub(crate) fn sign(secret: &[u8], id: &str, timestamp: &str, body: &[u8]) -> Option<String> {
    let mac = hmac(secret, &signed(id, timestamp, body))?;
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// Whether one of the signatures in a header is by one of the secrets. Compared in constant time.
pub(crate) fn fits(header: &str, secrets: &[Vec<u8>], id: &str, timestamp: &str, body: &[u8]) -> bool {
    let given = header.split(' ').filter_map(|one| one.strip_prefix("v1,"));
    let given: Vec<Vec<u8>> = given.filter_map(|text| STANDARD.decode(text).ok()).collect();
    secrets.iter().any(|secret| {
        given
            .iter()
            .any(|given| hmac(secret, &signed(id, timestamp, body)).is_some_and(|mac| mac.verify_slice(given).is_ok()))
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification.
    #[test]
    fn the_example_of_the_specification_holds() {
        let secret = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let (id, at, body) = ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", br#"{"test": 2432232314}"#);
        let header = sign(&secret, id, at, body).unwrap();
        assert_eq!(header, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let secrets = [vec![1; 32], secret];
        assert!(fits(&format!("v1a,xyz {header}"), &secrets, id, at, body));
        assert!(!fits(&header, &secrets, id, "1614265331", body));
        assert!(!fits(&header, &secrets, "msg_other", at, body));
        assert!(!fits(&header, &secrets, id, at, br#"{"test": 2432232315}"#));
        assert!(!fits(&header.replace("v1,", "v2,"), &secrets, id, at, body));
        assert!(!fits("", &secrets, id, at, body) && !fits(&header, &[], id, at, body));
    }
}
