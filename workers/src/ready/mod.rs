//! Asks a worker whether it can do its work: the health check of a container that has no other program to ask with.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context, ensure};
use axum::http::{StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Empty, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

use crate::http::HealthArgs;

/// How long the answer may take.
const LIMIT: Duration = Duration::from_secs(2);
/// And how long it may be.
const MOST_BYTES: usize = 64 << 10;

/// Asks the worker that has the same address.
///
/// # Errors
/// It is not ready, or nobody answers.
pub fn run(args: &HealthArgs) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Of a host with one family alone, the address of the other cannot be asked.
        let mut answered = Err(anyhow::anyhow!("there is no address to ask"));
        for address in addresses(args.http_address) {
            answered = ask(address).await;
            if answered.is_ok() {
                break;
            }
        }
        let (status, sentence) = answered?;
        ensure!(status == StatusCode::OK, "not ready: {sentence}");
        Ok(())
    })
}

/// Where a worker that listens on `address` is asked: one that listens on all addresses, on those of this host alone.
fn addresses(address: SocketAddr) -> Vec<SocketAddr> {
    let here: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => vec![SocketAddr::new(here[0], address.port())],
        IpAddr::V6(ip) if ip.is_unspecified() => here.map(|ip| SocketAddr::new(ip, address.port())).to_vec(),
        _ => vec![address],
    }
}

/// What a worker answers, and its sentence.
async fn ask(address: SocketAddr) -> anyhow::Result<(StatusCode, String)> {
    let url: Uri = format!("http://{address}/readyz").parse()?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let asked = tokio::time::timeout(LIMIT, client.get(url.clone())).await;
    let answer = asked.with_context(|| format!("{url} did not answer within {LIMIT:?}"))?;
    let answer = answer.with_context(|| format!("{url} did not answer"))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MOST_BYTES).collect();
    let body = tokio::time::timeout(LIMIT, body).await.ok().and_then(Result::ok).map(Collected::to_bytes);
    Ok((status, String::from_utf8_lossy(&body.unwrap_or_default()).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_listens_everywhere_is_asked_on_this_host() {
        let asked = |address: &str| -> Vec<String> {
            addresses(address.parse().unwrap()).iter().map(ToString::to_string).collect()
        };
        assert_eq!(asked("[::]:8080"), ["127.0.0.1:8080", "[::1]:8080"]);
        assert_eq!(asked("0.0.0.0:80"), ["127.0.0.1:80"]);
        assert_eq!(asked("10.1.2.3:8080"), ["10.1.2.3:8080"]);
    }
}
