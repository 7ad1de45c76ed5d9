//! A real kube-apiserver.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
    time::Duration,
};

use k8s_openapi::{
    api::{
        authentication::v1::{TokenRequest, TokenRequestSpec},
        core::v1::ServiceAccount,
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, Config, ResourceExt,
    api::PostParams,
    config::{KubeConfigOptions, Kubeconfig},
    runtime::{conditions, wait::await_condition},
};
use tokio::{sync::OnceCell, time::timeout};

use super::{namespace::Namespace, process::Process};

/// The one administrator.
const TOKEN: &str = "administrator-of-the-tests";
const START_TIMEOUT: Duration = Duration::from_secs(90);

/// kube-apiserver, etcd and kube-controller-manager (Jobs and garbage collection only) on free loopback ports.
/// All that is kept lies in a temporary folder; nothing outlives the test process.
pub struct ApiServer {
    kubeconfig: Kubeconfig,
    folder: PathBuf,
    etcd: u16,
    port: u16,
    /// Nothing while it is stopped.
    server: Mutex<Option<Process>>,
    _processes: Vec<Process>,
}

/// The server of this test binary, started by the first test that asks for it.
pub async fn api_server() -> &'static ApiServer {
    static SERVER: OnceCell<ApiServer> = OnceCell::const_new();
    SERVER.get_or_init(ApiServer::start).await
}

impl ApiServer {
    /// A client of the administrator. Each test has one of its own, since each has a runtime of its own.
    pub async fn client(&self) -> Client {
        Client::try_from(self.config(None).await).unwrap()
    }

    /// A namespace as a ServiceAccount in it sees it.
    pub async fn as_account(&self, namespace: &Namespace, account: &str) -> Namespace {
        let wanted = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
        let accounts = namespace.api::<ServiceAccount>();
        let token = accounts.create_token_request(account, &PostParams::default(), &wanted).await.unwrap();
        let config = self.config(Some(token.status.unwrap().token)).await;
        Namespace { client: Client::try_from(config).unwrap(), ..namespace.clone() }
    }

    /// How other programs reach the server, as its administrator.
    pub fn kubeconfig(&self) -> &Kubeconfig {
        &self.kubeconfig
    }

    /// A new namespace at the restricted level of Pod Security.
    pub async fn namespace(&self) -> Namespace {
        Namespace::create(self.client().await).await
    }

    async fn config(&self, token: Option<String>) -> Config {
        let mut kubeconfig = self.kubeconfig.clone();
        if let (Some(token), Some(user)) = (token, kubeconfig.auth_infos[0].auth_info.as_mut()) {
            user.token = Some(token.into());
        }
        Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap()
    }

    /// A server of its own, for a test that changes what all would share.
    pub async fn start() -> Self {
        let folder = temporary_folder();
        let [etcd, etcd_peers, port] = free_ports();
        let mut processes = vec![Process::remove_at_end(&folder)];
        processes.push(start_etcd(&folder, etcd, etcd_peers));
        let server = Mutex::new(Some(start_kube_apiserver(&folder, etcd, port)));

        let kubeconfig = wait_for_certificate(&folder, port).await;
        let server = Self { kubeconfig, folder, etcd, port, server, _processes: vec![] };
        let client = server.client().await;
        wait_until_ready(&server.folder, &client).await;
        processes.push(start_controllers(&server.folder));
        install_definitions(&client).await;
        Self { _processes: processes, ..server }
    }

    /// Kills it: every connection breaks, and new ones are refused.
    pub fn stop(&self) {
        self.server.lock().unwrap().take().unwrap().kill();
    }

    /// Starts it again, with all that it had stored.
    pub async fn restart(&self) {
        *self.server.lock().unwrap() = Some(start_kube_apiserver(&self.folder, self.etcd, self.port));
        wait_until_ready(&self.folder, &self.client().await).await;
    }
}

fn temporary_folder() -> PathBuf {
    let made = Command::new("mktemp").args(["-d", "-t", "tailrace-test.XXXXXXXX"]).output().unwrap();
    PathBuf::from(String::from_utf8(made.stdout).unwrap().trim())
}

fn free_ports<const N: usize>() -> [u16; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// A program that `third-party/build` has built.
pub fn program(name: &str) -> PathBuf {
    let from_environment = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = from_environment("TAILRACE_CACHE").unwrap_or_else(|| {
        let caches = from_environment("XDG_CACHE_HOME");
        caches.unwrap_or_else(|| from_environment("HOME").unwrap_or_default().join(".cache")).join("tailrace")
    });
    let program = cache.join("bin").join(name);
    assert!(program.exists(), "{} is missing: run `third-party/build kubernetes helm` first", program.display());
    program
}

fn start_etcd(folder: &Path, port: u16, peers: u16) -> Process {
    let (clients, peers) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peers}"));
    let arguments = [
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls={clients}"),
        format!("--advertise-client-urls={clients}"),
        format!("--listen-peer-urls={peers}"),
        format!("--initial-advertise-peer-urls={peers}"),
        format!("--initial-cluster=default={peers}"),
        // Nothing here is worth waiting for a disk.
        "--unsafe-no-fsync".into(),
    ];
    Process::start(folder, &program("etcd"), &arguments)
}

fn start_kube_apiserver(folder: &Path, etcd: u16, port: u16) -> Process {
    let (tokens, key) = (folder.join("tokens.csv"), folder.join("service-accounts.key"));
    fs::write(&tokens, format!("{TOKEN},administrator,administrator,system:masters\n")).unwrap();
    // Tokens of before outlive a restart.
    if !key.exists() {
        make_key(&key);
    }
    let arguments = [
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        "--bind-address=127.0.0.1".into(),
        "--advertise-address=127.0.0.1".into(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", folder.display()),
        format!("--token-auth-file={}", tokens.display()),
        "--authorization-mode=RBAC".into(),
        "--service-cluster-ip-range=10.96.0.0/16".into(),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-account-key-file={}", key.display()),
        format!("--service-account-signing-key-file={}", key.display()),
        "--profiling=false".into(),
    ];
    Process::start(folder, &program("kube-apiserver"), &arguments)
}

fn make_key(file: &Path) {
    let made = Command::new("openssl")
        .args(["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out"])
        .arg(file)
        .status()
        .expect("openssl is missing: apt-get install openssl");
    assert!(made.success(), "openssl could not make a key");
}

/// The server makes its own certificate, which is its authority too.
async fn wait_for_certificate(folder: &Path, port: u16) -> Kubeconfig {
    let certificate = folder.join("apiserver.crt");
    let made = async {
        while fs::read_to_string(&certificate).map_or(true, |text| !text.trim_end().ends_with("END CERTIFICATE-----")) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(START_TIMEOUT, made).await.unwrap_or_else(|_| panic!("no certificate: {}", log(folder, "kube-apiserver")));
    let yaml = format!(
        "{{apiVersion: v1, kind: Config, current-context: test, \
          contexts: [{{name: test, context: {{cluster: test, user: test}}}}], \
          users: [{{name: test, user: {{token: {TOKEN}}}}}], \
          clusters: [{{name: test, cluster: {{server: 'https://127.0.0.1:{port}', certificate-authority: '{}'}}}}]}}",
        certificate.display()
    );
    fs::write(folder.join("kubeconfig"), &yaml).unwrap();
    Kubeconfig::from_yaml(&yaml).unwrap()
}

async fn wait_until_ready(folder: &Path, client: &Client) {
    let ready = async {
        while client.request_text(http::Request::get("/readyz").body(vec![]).unwrap()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(START_TIMEOUT, ready).await.unwrap_or_else(|_| {
        panic!("kube-apiserver is not ready: {}\n{}", log(folder, "etcd"), log(folder, "kube-apiserver"))
    });
}

fn start_controllers(folder: &Path) -> Process {
    let [port] = free_ports();
    let kubeconfig = folder.join("kubeconfig");
    let arguments = [
        format!("--kubeconfig={}", kubeconfig.display()),
        // A claim that no pod uses can be deleted.
        "--controllers=garbage-collector-controller,job-controller,persistentvolumeclaim-protection-controller".into(),
        "--bind-address=127.0.0.1".into(),
        format!("--secure-port={port}"),
        format!("--cert-dir={}", folder.join("controllers").display()),
        "--leader-elect=false".into(),
        "--profiling=false".into(),
    ];
    Process::start(folder, &program("kube-controller-manager"), &arguments)
}

async fn install_definitions(client: &Client) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/manifests");
    let definitions = Api::<CustomResourceDefinition>::all(client.clone());
    let mut names = vec![];
    for file in fs::read_dir(folder).unwrap() {
        let definition = serde_yaml_ng::from_str(&fs::read_to_string(file.unwrap().path()).unwrap()).unwrap();
        names.push(definitions.create(&PostParams::default(), &definition).await.unwrap().name_any());
    }
    for name in names {
        let established = await_condition(definitions.clone(), &name, conditions::is_crd_established());
        timeout(START_TIMEOUT, established).await.unwrap_or_else(|_| panic!("{name} is not established")).unwrap();
    }
}

/// The last lines of a log.
fn log(folder: &Path, name: &str) -> String {
    let text = fs::read_to_string(folder.join(format!("{name}.log"))).unwrap_or_default();
    text.lines().rev().take(15).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
}
