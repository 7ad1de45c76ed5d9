//! A client whose requests are counted.

use std::{
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
};

use http::{Request, Response};
use kube::{Client, client::Body};
use tower_service::Service;

use crate::metrics::Metrics;

/// A client that counts what it asks `client` for.
pub fn client(client: Client, metrics: Arc<Metrics>) -> Client {
    let namespace = client.default_namespace().to_owned();
    Client::new(Counting { client, metrics }, namespace)
}

struct Counting {
    client: Client,
    metrics: Arc<Metrics>,
}

impl Service<Request<Body>> for Counting {
    type Response = Response<Body>;
    type Error = kube::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, kube::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), kube::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (client, metrics, method) = (self.client.clone(), self.metrics.clone(), request.method().clone());
        Box::pin(async move {
            let answer = client.send(request).await;
            metrics.asked(&method, answer.as_ref().ok().map(Response::status));
            answer
        })
    }
}
