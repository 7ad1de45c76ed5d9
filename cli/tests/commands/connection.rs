//! The ways to a cluster that kubectl knows: proxies of the environment and of the kubeconfig, and programs that bring
//! a token.

use std::{
    io::{BufRead, BufReader, Read, Write, copy},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use kube::config::Kubeconfig;
use serde_json::json;

use crate::{
    plugin::{Plugin, Said},
    results::{load_test, succeeded, write},
    support::{Namespace, api_server},
};

/// A name of the API server in its own certificate, which only the proxy can look up.
const NAME: &str = "kubernetes.default.svc";

/// How a client says where it wants to go; returns that, as `host:port`.
type Handshake = fn(&TcpStream) -> String;

/// A proxy that leads everywhere to the API server.
struct TunnelProxy {
    address: SocketAddr,
    asked_for: Arc<Mutex<Vec<String>>>,
}

impl TunnelProxy {
    fn in_front_of(server: SocketAddr, handshake: Handshake) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { address: listener.local_addr().unwrap(), asked_for: Arc::default() };
        let asked_for = proxy.asked_for.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let asked_for = asked_for.clone();
                thread::spawn(move || {
                    asked_for.lock().unwrap().push(handshake(&client));
                    tunnel(client, TcpStream::connect(server).unwrap());
                });
            }
        });
        proxy
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://{}", self.address)
    }

    fn asked_for(&self) -> Vec<String> {
        self.asked_for.lock().unwrap().clone()
    }
}

/// An HTTP proxy's CONNECT (RFC 9110, section 9.3.6).
fn connect(mut client: &TcpStream) -> String {
    let mut lines = BufReader::new(client).lines().map(Result::unwrap);
    let first = lines.next().unwrap();
    let _headers = lines.take_while(|line| !line.is_empty()).count();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    first.strip_prefix("CONNECT ").unwrap().replace(" HTTP/1.1", "")
}

/// SOCKS5 (RFC 1928) without a password, for a name that the proxy is to look up.
fn socks(client: &TcpStream) -> String {
    let read = |count: usize| {
        let (mut bytes, mut from) = (vec![0; count], client);
        from.read_exact(&mut bytes).unwrap();
        bytes
    };
    let methods = read(2)[1];
    read(methods.into());
    let write = |bytes: &[u8]| {
        let mut to = client;
        to.write_all(bytes).unwrap();
    };
    write(&[5, 0]);
    let request = read(5);
    assert_eq!(request[..4], [5, 1, 0, 3], "a connection to a host by its name");
    let name = String::from_utf8(read(request[4].into())).unwrap();
    let port = u16::from_be_bytes(read(2).try_into().unwrap());
    write(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    format!("{name}:{port}")
}

fn tunnel(client: TcpStream, there: TcpStream) {
    for (mut from, mut to) in [(client.try_clone().unwrap(), there.try_clone().unwrap()), (there, client)] {
        thread::spawn(move || {
            let _ = copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    }
}

/// A namespace with the result `first`, the kubeconfig, and where the server is.
async fn cluster() -> (Namespace, Kubeconfig, SocketAddr) {
    let server = api_server().await;
    let namespace = server.namespace().await;
    load_test(&namespace, "first").await;
    write(&namespace, "first", succeeded()).await;
    let kubeconfig = server.kubeconfig().clone();
    let url = kubeconfig.clusters[0].cluster.as_ref().unwrap().server.clone().unwrap();
    (namespace, kubeconfig, url.strip_prefix("https://").unwrap().parse().unwrap())
}

/// The kubeconfig of somebody who knows the server by a name that cannot be looked up here.
fn behind_a_proxy(kubeconfig: &Kubeconfig, server: SocketAddr) -> Kubeconfig {
    let mut kubeconfig = kubeconfig.clone();
    kubeconfig.clusters[0].cluster.as_mut().unwrap().server = Some(format!("https://{NAME}:{}", server.port()));
    kubeconfig
}

fn has_the_result(said: &Said) {
    assert!(said.code == 0 && said.output.contains("first"), "{said:#?}");
}

#[tokio::test]
async fn a_proxy_of_the_environment_leads_to_the_cluster() {
    let (namespace, kubeconfig, server) = cluster().await;
    let proxy = TunnelProxy::in_front_of(server, connect);
    let plugin = Plugin::new(&behind_a_proxy(&kubeconfig, server), &namespace.name);
    let plugin = plugin.with("HTTPS_PROXY", proxy.url("http")).with("NO_PROXY", "127.0.0.1,.example.com,");
    has_the_result(&plugin.run(&["report", "first"]).await);
    assert_eq!(proxy.asked_for(), [format!("{NAME}:{}", server.port())]);
}

#[tokio::test]
async fn a_socks_proxy_leads_to_the_cluster_and_looks_up_its_name() {
    let (namespace, kubeconfig, server) = cluster().await;
    let expected = format!("{NAME}:{}", server.port());
    let of_environment = TunnelProxy::in_front_of(server, socks);
    let plugin = Plugin::new(&behind_a_proxy(&kubeconfig, server), &namespace.name);
    let plugin = plugin.with("HTTPS_PROXY", of_environment.url("socks5"));
    has_the_result(&plugin.run(&["report", "first"]).await);
    assert_eq!(of_environment.asked_for(), [expected.as_str()]);

    let of_kubeconfig = TunnelProxy::in_front_of(server, socks);
    let mut kubeconfig = behind_a_proxy(&kubeconfig, server);
    kubeconfig.clusters[0].cluster.as_mut().unwrap().proxy_url = Some(of_kubeconfig.url("socks5h"));
    has_the_result(&Plugin::new(&kubeconfig, &namespace.name).run(&["report", "first"]).await);
    assert_eq!(of_kubeconfig.asked_for(), [expected.as_str()]);
}

#[tokio::test]
async fn a_cluster_that_no_proxy_names_is_asked_directly() {
    let (namespace, kubeconfig, server) = cluster().await;
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for without in ["127.0.0.1,localhost,10.0.0.0/8,.svc", "", ",,"] {
        let plugin = Plugin::new(&kubeconfig, &namespace.name);
        let plugin = plugin.with("HTTPS_PROXY", format!("http://{nobody}")).with("NO_PROXY", without);
        has_the_result(&plugin.run(&["report", "first"]).await);
    }
    // Not even tried by way of the proxy, which would lead there.
    let proxy = TunnelProxy::in_front_of(server, connect);
    let plugin = Plugin::new(&behind_a_proxy(&kubeconfig, server), &namespace.name);
    let said = plugin.with("HTTPS_PROXY", proxy.url("http")).with("no_proxy", ".svc").run(&["report", "first"]).await;
    assert!(said.code == 1 && proxy.asked_for().is_empty(), "{said:#?}");
}

#[tokio::test]
async fn the_proxy_of_the_kubeconfig_is_used_whatever_no_proxy_says() {
    let (namespace, kubeconfig, server) = cluster().await;
    let proxy = TunnelProxy::in_front_of(server, connect);
    let mut kubeconfig = behind_a_proxy(&kubeconfig, server);
    kubeconfig.clusters[0].cluster.as_mut().unwrap().proxy_url = Some(proxy.url("http"));
    let plugin = Plugin::new(&kubeconfig, &namespace.name).with("NO_PROXY", "*");
    has_the_result(&plugin.run(&["report", "first"]).await);
    assert_eq!(proxy.asked_for().len(), 1);
}

#[tokio::test]
async fn a_program_of_the_kubeconfig_brings_the_token() {
    let (namespace, kubeconfig, _) = cluster().await;
    let mut value = serde_json::to_value(&kubeconfig).unwrap();
    let token = kubeconfig.auth_infos[0].auth_info.as_ref().unwrap();
    let token = serde_json::to_value(token).unwrap()["token"].clone();
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": { "token": token },
    });
    value["users"][0]["user"] = json!({ "exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never", "command": "echo",
        "args": [credential.to_string()],
    } });
    let plugin = Plugin::new(&serde_json::from_value(value).unwrap(), &namespace.name);
    has_the_result(&plugin.run(&["report", "first"]).await);
}
