//! The inference server, over connections that are kept.

use std::time::Duration;

use axum::http::{
    HeaderValue, Method, Request, Response, StatusCode, Uri,
    header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;

use super::{
    reply::{self, Reply},
    server_url::ServerUrl,
    trouble::Trouble,
};
use crate::sentence::sentence;

/// How long a connection may take to come about, where a request may take longer.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// An unused connection is given up before the server does so, after 30 s.
const IDLE_LIMIT: Duration = Duration::from_secs(20);
/// The longest answer that is read, in bytes.
const ANSWER_BYTES: usize = 64 << 10;
/// One request of so many is the last of its connection, so that servers that are added later get their share.
const REQUESTS_OF_A_CONNECTION: u32 = 1000;

/// A client of one inference server, or of several behind one name.
pub struct Server {
    client: Client<HttpConnector, Full<Bytes>>,
    url: ServerUrl,
    limit: Duration,
}

impl Server {
    /// A request takes at most `limit`; at most `connections` are kept. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(url: ServerUrl, limit: Duration, connections: usize) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_LIMIT.min(limit / 2)));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_LIMIT)
            .pool_max_idle_per_host(connections)
            .build(connector);
        Self { client, url, limit }
    }

    /// Asks what is on an image file of this media type.
    ///
    /// # Errors
    /// [`Trouble`] when no reply comes.
    pub async fn predict(&self, media_type: &'static str, file: Bytes) -> Result<Reply, Trouble> {
        let mut request = request(Method::POST, &self.url.predict, file);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if rand::random_ratio(1, REQUESTS_OF_A_CONNECTION) {
            request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let response = self.ask(request).await?;
        let retry_after = response.headers().get(RETRY_AFTER).map(HeaderValue::as_bytes);
        reply::read(response.status(), retry_after, response.body())
    }

    /// Asks whether it can take images.
    ///
    /// # Errors
    /// [`Trouble`] when it cannot.
    pub async fn ready(&self) -> Result<(), Trouble> {
        let response = self.ask(request(Method::GET, &self.url.ready, Bytes::new())).await?;
        match response.status() {
            StatusCode::OK => Ok(()),
            other => Err(Trouble::Unavailable(other)),
        }
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Trouble> {
        let response = async {
            let response = self.client.request(request).await.map_err(no_response)?;
            whole(response).await
        };
        timeout(self.limit, response).await.unwrap_or(Err(Trouble::TimedOut(self.limit)))
    }
}

fn request(method: Method, uri: &Uri, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = uri.clone();
    request
}

async fn whole(response: Response<Incoming>) -> Result<Response<Bytes>, Trouble> {
    let (head, body) = response.into_parts();
    match Limited::new(body, ANSWER_BYTES).collect().await {
        Ok(body) => Ok(Response::from_parts(head, body.to_bytes())),
        Err(error) => Err(Trouble::Broken(error.to_string())),
    }
}

fn no_response(error: Error) -> Trouble {
    let no_connection = error.is_connect();
    let said = sentence(&anyhow::Error::new(error));
    if no_connection { Trouble::Unreachable(said) } else { Trouble::Broken(said) }
}
