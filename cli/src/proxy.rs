//! The proxy between here and the API server, as kubectl chooses it: that of the kubeconfig, or else that of the
//! environment unless `NO_PROXY` leaves the server out.

use std::{env, net::IpAddr};

use hyper_util::client::proxy::matcher::Matcher;
use kube::{
    Config,
    config::{Kubeconfig, NamedCluster},
};

/// The environment variables that say which proxy to use.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    https: String,
    http: String,
    without: String,
}

impl Environment {
    /// That of this process. A name in capitals goes before the same in small letters.
    pub fn of_process() -> Self {
        let value = |names: [&str; 2]| {
            let values = names.into_iter().filter_map(|name| env::var(name).ok());
            values.into_iter().find(|value| !value.is_empty()).unwrap_or_default()
        };
        Self {
            https: value(["HTTPS_PROXY", "https_proxy"]),
            http: value(["HTTP_PROXY", "http_proxy"]),
            without: value(["NO_PROXY", "no_proxy"]),
        }
    }
}

/// The URL of the proxy to the server of `config`, if there is one.
///
/// # Errors
/// When it is no URL, with the sentence to say.
pub fn of(
    config: &Config,
    kubeconfig: &Kubeconfig,
    context: Option<&str>,
    environment: &Environment,
) -> Result<Option<http::Uri>, String> {
    if let Some(url) = of_kubeconfig(kubeconfig, context) {
        return parse(&url, "proxy-url of the kubeconfig").map(Some);
    }
    let server = &config.cluster_url;
    let (url, name) = match server.scheme_str() {
        Some("http") => (&environment.http, "HTTP_PROXY"),
        _ => (&environment.https, "HTTPS_PROXY"),
    };
    if url.is_empty() || is_here(server) || is_left_out(server, &environment.without) {
        return Ok(None);
    }
    parse(url, name).map(Some)
}

fn of_kubeconfig(kubeconfig: &Kubeconfig, context: Option<&str>) -> Option<String> {
    let context = context.or(kubeconfig.current_context.as_deref())?;
    let context = kubeconfig.contexts.iter().find(|named| named.name == context)?.context.as_ref()?;
    let cluster: &NamedCluster = kubeconfig.clusters.iter().find(|named| named.name == context.cluster)?;
    cluster.cluster.as_ref()?.proxy_url.clone().filter(|url| !url.is_empty())
}

/// As programs in Go have it, a server on this host is never asked through a proxy of the environment.
fn is_here(server: &http::Uri) -> bool {
    let host = host(server);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_left_out(server: &http::Uri, without: &str) -> bool {
    if leaves_out_all(without) {
        return true;
    }
    let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("http") { 80 } else { 443 });
    let entries: Vec<&str> = without.split(',').map(str::trim).filter(|entry| !entry.is_empty()).collect();
    // An entry with a port is for that port alone.
    let of_port = |entry: &&str| match entry.rsplit_once(':') {
        Some((host, number)) if !host.contains(':') || host.ends_with(']') => {
            (number.parse() == Ok(port)).then(|| host.trim_matches(['[', ']']).to_owned())
        }
        _ => Some(entry.trim_matches(['[', ']']).to_owned()),
    };
    let entries: Vec<String> = entries.iter().filter_map(of_port).collect();
    let matcher = Matcher::builder().all("http://proxy").no(entries.join(",")).build();
    matcher.intercept(server).is_none()
}

fn leaves_out_all(without: &str) -> bool {
    without.split(',').any(|entry| entry.trim() == "*")
}

/// A value of `NO_PROXY` without the entries that the client of the cluster cannot read, at which it would give up;
/// they leave out no server that it knows. An asterisk among others, which it cannot read either, leaves out every
/// server.
pub fn readable(without: &str) -> String {
    if leaves_out_all(without) {
        return "*".to_owned();
    }
    let is_network = |entry: &str| entry.split_once('/').is_some_and(|(address, _)| address.parse::<IpAddr>().is_ok());
    let is_host = |entry: &str| entry.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some());
    let is_readable = |entry: &&str| entry.parse::<IpAddr>().is_ok() || is_network(entry) || is_host(entry);
    without.split(',').map(str::trim).filter(is_readable).collect::<Vec<_>>().join(",")
}

fn host(server: &http::Uri) -> &str {
    server.host().unwrap_or_default().trim_matches(['[', ']'])
}

/// Without a scheme it is an HTTP proxy. Names are looked up by a SOCKS proxy either way.
fn parse(url: &str, name: &str) -> Result<http::Uri, String> {
    let url = match url.split_once("://") {
        None => format!("http://{url}"),
        Some(("socks5h", rest)) => format!("socks5://{rest}"),
        Some(_) => url.to_owned(),
    };
    let parsed: http::Uri = url.parse().map_err(|error| format!("{name} is \"{url}\", which is no URL: {error}"))?;
    match parsed.scheme_str() {
        Some("http" | "https" | "socks5") => Ok(parsed),
        _ => Err(format!("{name} is \"{url}\": write http://, https:// or socks5:// at its beginning")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(server: &str, https: &str, without: &str) -> Option<String> {
        let config = Config::new(server.parse().unwrap());
        let environment = Environment { https: https.into(), http: "http://plain:1".into(), without: without.into() };
        of(&config, &Kubeconfig::default(), None, &environment).unwrap().map(|url| url.to_string())
    }

    #[test]
    fn no_proxy_is_read_as_kubectl_reads_it() {
        let server = "https://api.k8s.example.com:6443";
        assert_eq!(proxy(server, "", ""), None);
        assert_eq!(proxy(server, "http://proxy:3128", "").as_deref(), Some("http://proxy:3128/"));
        for without in [
            "*",
            ".example.com",
            "example.com",
            "localhost, api.k8s.example.com ,",
            ",,k8s.example.com",
            "example.com:6443",
        ] {
            assert_eq!(proxy(server, "http://proxy:3128", without), None, "{without}");
        }
        for without in ["proxy", "ample.com", "example.com:443", "10.0.0.0/8", ",", "/var/run", "<local>"] {
            assert!(proxy(server, "http://proxy:3128", without).is_some(), "{without}");
        }
        for without in ["10.0.0.0/8", "10.1.2.3", "10.1.2.3:6443"] {
            assert_eq!(proxy("https://10.1.2.3:6443", "http://proxy:3128", without), None, "{without}");
        }
        assert_eq!(proxy("https://[fd00::1]:6443", "http://proxy:3128", "fd00::/8"), None);
        assert_eq!(proxy("https://[fd00::1]:6443", "http://proxy:3128", "[fd00::1]:6443"), None);
    }

    #[test]
    fn entries_that_nobody_can_read_are_left_out() {
        assert_eq!(readable("localhost,,.svc, ::1 ,10.0.0.0/8,/var/run,a b,"), "localhost,.svc,::1,10.0.0.0/8");
        for readable_already in [".example.com,*.example.com,a:443,10.1.2.3", "*"] {
            assert_eq!(readable(readable_already), readable_already);
        }
    }

    #[test]
    fn an_asterisk_among_others_leaves_out_every_server() {
        for without in ["a,*", " * ,.example.com", "*,"] {
            assert_eq!(readable(without), "*");
            assert_eq!(proxy("https://10.1.2.3:6443", "http://proxy:3128", without), None, "{without}");
        }
    }

    #[test]
    fn a_server_on_this_host_is_asked_without_a_proxy() {
        for server in
            ["https://127.0.0.1:6443", "https://localhost:6443", "https://[::1]:6443", "http://127.0.0.1:8001"]
        {
            assert_eq!(proxy(server, "http://proxy:3128", ""), None, "{server}");
        }
    }

    #[test]
    fn the_scheme_of_the_server_chooses_and_that_of_the_proxy_may_be_left_out() {
        assert_eq!(proxy("http://10.1.2.3:8001", "http://proxy:3128", "").as_deref(), Some("http://plain:1/"));
        assert_eq!(proxy("https://10.1.2.3", "proxy:3128", "").as_deref(), Some("http://proxy:3128/"));
        assert_eq!(proxy("https://10.1.2.3", "socks5h://proxy:1080", "").as_deref(), Some("socks5://proxy:1080/"));
        let refused = parse("ftp://proxy", "HTTPS_PROXY").unwrap_err();
        assert!(refused.contains("HTTPS_PROXY is \"ftp://proxy\": write http://"), "{refused}");
    }

    #[test]
    fn the_proxy_of_the_kubeconfig_goes_before_all_others() {
        let yaml = "{apiVersion: v1, kind: Config, current-context: a, \
                     contexts: [{name: a, context: {cluster: a, user: a}}, {name: b, context: {cluster: b, user: a}}], \
                     clusters: [{name: a, cluster: {server: 'https://a:1', proxy-url: 'http://of-a:1'}}, \
                                {name: b, cluster: {server: 'https://b:1'}}], users: [{name: a, user: {}}]}";
        let kubeconfig = Kubeconfig::from_yaml(yaml).unwrap();
        let config = Config::new("https://a:1".parse().unwrap());
        let environment = Environment { https: "http://other:1".into(), without: "a".into(), ..Environment::default() };
        let of = |context| of(&config, &kubeconfig, context, &environment).unwrap().map(|url| url.to_string());
        assert_eq!(of(None).as_deref(), Some("http://of-a:1/"));
        assert_eq!(of(Some("b")), None);
    }
}
