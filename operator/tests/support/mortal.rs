//! A client whose operator dies after a number of writes.

use std::{
    future::pending,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{self, Poll},
};

use http::{Method, Request, Response};
use kube::{Client, client::Body};
use tokio::sync::Notify;
use tower_service::Service;

/// A client that passes on so many writes. The one after them is never sent nor answered, and death is notified.
pub fn client(client: Client, namespace: &str, writes: usize) -> (Client, Arc<Notify>) {
    let death = Arc::new(Notify::new());
    let mortal = Mortal { client, left: Arc::new(AtomicUsize::new(writes)), death: death.clone() };
    (Client::new(mortal, namespace), death)
}

struct Mortal {
    client: Client,
    left: Arc<AtomicUsize>,
    death: Arc<Notify>,
}

impl Service<Request<Body>> for Mortal {
    type Response = Response<Body>;
    type Error = kube::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, kube::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> Poll<Result<(), kube::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let one_less = |left: usize| left.checked_sub(1);
        let writes = request.method() != Method::GET;
        if writes && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_err() {
            self.death.notify_one();
            return Box::pin(pending());
        }
        let client = self.client.clone();
        Box::pin(async move { client.send(request).await })
    }
}
