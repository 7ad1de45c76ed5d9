//! Where the inference server is.

use std::str::FromStr;

use axum::http::{Uri, uri::Scheme};

/// The address of an inference server: `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    /// Takes an image.
    pub predict: Uri,
    /// Says whether the server can take images.
    pub ready: Uri,
}

/// Why a text is no [`ServerUrl`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoServerUrl {
    /// TLS is not spoken.
    #[error("images go to the inference server without TLS: write http:// instead of https://")]
    Tls,
    /// Anything else.
    #[error(
        "this is no address of an inference server: write http://HOST:PORT and nothing behind it, such as \
         http://cifar-inference-server.demo.svc:8080"
    )]
    Malformed,
}

impl FromStr for ServerUrl {
    type Err = NoServerUrl;

    fn from_str(text: &str) -> Result<Self, NoServerUrl> {
        let uri: Uri = text.parse().map_err(|_| NoServerUrl::Malformed)?;
        if uri.scheme() == Some(&Scheme::HTTPS) {
            return Err(NoServerUrl::Tls);
        }
        let host_and_port = uri.authority().is_some_and(|authority| {
            let (text, host) = (authority.as_str(), authority.host());
            !host.is_empty() && !text.contains('@') && (text == host || authority.port_u16().is_some())
        });
        if uri.scheme() != Some(&Scheme::HTTP) || !host_and_port || uri.path_and_query().is_some_and(|rest| rest != "/")
        {
            return Err(NoServerUrl::Malformed);
        }
        let at = |path| format!("{}{path}", text.trim_end_matches('/')).parse().map_err(|_| NoServerUrl::Malformed);
        Ok(Self { predict: at("/predict")?, ready: at("/v2/health/ready")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_a_server_is_understood() {
        for (text, predict) in [
            ("http://localhost:8080", "http://localhost:8080/predict"),
            ("http://cifar.demo.svc/", "http://cifar.demo.svc/predict"),
            ("HTTP://[::1]:80", "http://[::1]:80/predict"),
        ] {
            assert_eq!(text.parse::<ServerUrl>().unwrap().predict, predict, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_to_write() {
        for text in [
            "",
            "localhost:8080",
            "/predict",
            "ftp://host",
            "http://",
            "http://:80",
            "http://host/predict",
            "http://host:80/?a=b",
            "http://host:eighty",
            "http://host:65536",
            "http://host:",
            "http://user:password@host",
            "http://two words",
        ] {
            assert_eq!(text.parse::<ServerUrl>(), Err(NoServerUrl::Malformed), "{text}");
        }
        assert_eq!("https://host".parse::<ServerUrl>(), Err(NoServerUrl::Tls));
    }
}
