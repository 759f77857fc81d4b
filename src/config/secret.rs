use std::fmt;

use serde::{Deserialize, Serialize, Serializer};

/// What is shown instead of a secret.
const MASK: &str = "***";

/// A text that is shown as `***`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Masked(String);

impl Masked {
    /// Hides the text.
    pub(crate) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one place that needs it.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for Masked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

/// A database URL, shown without its password.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Takes a URL.
    pub(crate) fn new(url: String) -> Self {
        Self(url)
    }

    /// The URL itself, for connecting.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// The URL without what may be secret: the password, and a `password` parameter.
    pub(crate) fn masked(&self) -> String {
        let (address, parameters) = match self.0.split_once('?') {
            Some((address, parameters)) => (address, Some(parameters)),
            None => (self.0.as_str(), None),
        };
        let mut shown = match address.split_once("://").map(|(scheme, rest)| (scheme, rest.rsplit_once('@'))) {
            Some((scheme, Some((user, host)))) => match user.split_once(':') {
                Some((user, _)) => format!("{scheme}://{user}:{MASK}@{host}"),
                None => address.to_owned(),
            },
            _ => address.to_owned(),
        };
        if let Some(parameters) = parameters {
            let parameters: Vec<String> = parameters
                .split('&')
                .map(|parameter| match parameter.split_once('=') {
                    Some((name, _)) if name.contains("password") => format!("{name}={MASK}"),
                    _ => parameter.to_owned(),
                })
                .collect();
            shown = format!("{shown}?{}", parameters.join("&"));
        }
        shown
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Serialize for DatabaseUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        let shown = |url: &str| format!("{:?}", DatabaseUrl(url.to_owned()));
        assert_eq!(
            shown("postgres://u:s3cret@host:5432/db?sslmode=require"),
            "postgres://u:***@host:5432/db?sslmode=require"
        );
        assert_eq!(
            shown("kurrentdb+discover://u:s3cret@a:1,b:2?tls=true"),
            "kurrentdb+discover://u:***@a:1,b:2?tls=true"
        );
        assert_eq!(shown("postgres://u:p@ss@host/db"), "postgres://u:***@host/db");
        assert_eq!(shown("postgres://host/db?password=x&user=u"), "postgres://host/db?password=***&user=u");
        assert_eq!(shown("postgres://u@localhost/db?host=/run/x"), "postgres://u@localhost/db?host=/run/x");
        assert_eq!(format!("{:?}", Masked("sk-1".to_owned())), "***");
    }
}
