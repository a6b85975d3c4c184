//! Where an endpoint listens, and what of that is a secret.

use std::{borrow::Cow, fmt, str::FromStr};

use reqwest::Url;

/// The shortest part of a path or query that is taken for a key. Providers' have 16
/// characters and more; a shorter part may be a word that their errors need.
const KEY_CHARS_MIN: usize = 12;
/// What stands in the place of a key.
const HIDDEN: &str = "[redacted]";

/// Where an endpoint listens. The path, query and user may hold keys: all that
/// is ever shown is scheme, host and port.
#[derive(Clone, PartialEq, Eq)]
pub struct EndpointUrl(Url);

/// The text is no URL of an endpoint. It is not repeated, as it may hold a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpointUrl {
    /// No URL at all.
    #[error("it is no URL; use one like `https://host/path`")]
    NoUrl,
    /// Another scheme.
    #[error("its scheme is neither `http` nor `https`")]
    Scheme,
}

impl EndpointUrl {
    /// All of it, for the one call that needs it.
    pub(super) fn whole(&self) -> &Url {
        &self.0
    }

    /// A text of the endpoint without the keys of this URL that it repeats.
    pub(super) fn hidden_in<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut text = Cow::Borrowed(text);
        for key in self.keys() {
            if text.contains(key.as_ref()) {
                text = Cow::Owned(text.replace(key.as_ref(), HIDDEN));
            }
        }
        text
    }

    /// What may be a key: a password, and long parts of path and query.
    fn keys(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let path = self.0.path_segments().into_iter().flatten().map(Cow::Borrowed);
        let query = self.0.query_pairs().map(|(_, value)| value);
        let long = |part: &Cow<'_, str>| part.len() >= KEY_CHARS_MIN;
        let parts = path.chain(query).chain([Cow::Borrowed(self.0.username())]).filter(long);
        let password = self.0.password().filter(|it| !it.is_empty()).map(Cow::Borrowed);
        password.into_iter().chain(parts)
    }
}

impl FromStr for EndpointUrl {
    type Err = InvalidEndpointUrl;
    fn from_str(text: &str) -> Result<Self, InvalidEndpointUrl> {
        let url: Url = text.trim().parse().map_err(|_| InvalidEndpointUrl::NoUrl)?;
        match url.scheme() {
            "http" | "https" => Ok(Self(url)),
            _ => Err(InvalidEndpointUrl::Scheme),
        }
    }
}

impl fmt::Display for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or("?"))?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for EndpointUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EndpointUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_key_in_a_url_is_never_shown() {
        let url: EndpointUrl =
            "https://user:secret@node.example:8443/v3/secret?key=secret".parse().unwrap();
        for shown in [format!("{url}"), format!("{url:?}")] {
            assert!(shown.contains("https://node.example:8443"), "{shown}");
            assert!(!shown.contains("secret"), "{shown}");
        }
    }

    #[test]
    fn what_is_no_http_url_is_refused_without_being_repeated() {
        assert_eq!("not a url".parse::<EndpointUrl>(), Err(InvalidEndpointUrl::NoUrl));
        assert_eq!("ws://secret".parse::<EndpointUrl>(), Err(InvalidEndpointUrl::Scheme));
    }

    #[test]
    fn a_key_that_an_endpoint_repeats_is_hidden_and_its_words_are_not() {
        let url =
            "https://ada:hunter2@node.example/ethereum/v3/0123456789abcdef?key=fedcba9876543210";
        let url: EndpointUrl = url.parse().unwrap();
        let told = "cannot POST /ethereum/v3/0123456789abcdef?key=fedcba9876543210 (ada:hunter2)";
        assert_eq!(
            url.hidden_in(told),
            "cannot POST /ethereum/v3/[redacted]?key=[redacted] (ada:[redacted])"
        );
        assert!(matches!(url.hidden_in("ethereum is syncing"), Cow::Borrowed(_)));
    }
}
