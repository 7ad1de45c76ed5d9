//! A client whose operator dies after a number of writes, or is held up for a while.

use std::{
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
use tokio_util::sync::CancellationToken;
use tower_service::Service;

/// A client that passes on so many writes. The one after them is not sent until it may go on.
pub fn client(client: Client, namespace: &str, writes: usize) -> (Client, HeldUp) {
    let held_up = HeldUp { reached: Arc::new(Notify::new()), may_go_on: CancellationToken::new() };
    let mortal = Mortal { client, left: Arc::new(AtomicUsize::new(writes)), held_up: held_up.clone() };
    (Client::new(mortal, namespace), held_up)
}

/// An operator before a write.
#[derive(Clone)]
pub struct HeldUp {
    /// Notified when the operator has come so far.
    pub reached: Arc<Notify>,
    /// Cancelled when it may send this write and all that follow; never for one that is dead.
    pub may_go_on: CancellationToken,
}

struct Mortal {
    client: Client,
    left: Arc<AtomicUsize>,
    held_up: HeldUp,
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
        let client = self.client.clone();
        if writes && self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_err() {
            let HeldUp { reached, may_go_on } = self.held_up.clone();
            reached.notify_one();
            return Box::pin(async move {
                may_go_on.cancelled().await;
                client.send(request).await
            });
        }
        Box::pin(async move { client.send(request).await })
    }
}
