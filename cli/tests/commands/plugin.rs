//! Runs the plugin.

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use kube::config::Kubeconfig;
use tempfile::TempDir;

/// How long a command may take that has nothing to wait for.
const PATIENCE: Duration = Duration::from_secs(60);

/// The plugin with a kubeconfig and a namespace.
pub struct Plugin {
    folder: TempDir,
    namespace: String,
    environment: Vec<(&'static str, String)>,
}

/// A command that runs.
pub struct Running(std::process::Child);

/// What a command has said.
#[derive(Debug)]
pub struct Said {
    pub code: i32,
    pub output: String,
    pub errors: String,
}

impl Plugin {
    pub fn new(kubeconfig: &Kubeconfig, namespace: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("kubeconfig"), serde_yaml_ng::to_string(kubeconfig).unwrap()).unwrap();
        Self { folder, namespace: namespace.to_owned(), environment: vec![] }
    }

    /// The same with an environment variable.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    /// A folder of this test.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn start(&self, arguments: &[&str]) -> Running {
        const OF_PROXIES: [&str; 3] = ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"];
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-tailrace"));
        for name in OF_PROXIES {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let child = command
            .envs(self.environment.iter().cloned())
            .args(arguments)
            .args(["--namespace", &self.namespace])
            .env("KUBECONFIG", self.folder("kubeconfig"))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Running(child.unwrap())
    }

    pub async fn run(&self, arguments: &[&str]) -> Said {
        self.start(arguments).ends().await
    }
}

impl Running {
    /// Waits for the end, but not for ever.
    pub async fn ends(mut self) -> Said {
        let started = Instant::now();
        while self.0.try_wait().unwrap().is_none() {
            if started.elapsed() > PATIENCE {
                self.0.kill().unwrap();
                panic!("it hangs: {:?}", Said::of(self.0.wait_with_output().unwrap()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Said::of(self.0.wait_with_output().unwrap())
    }

    pub fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Said {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), output: text(output.stdout), errors: text(output.stderr) }
    }

    /// The one sentence of a command that has failed.
    pub fn sentence(&self) -> &str {
        assert_eq!((self.code, self.errors.lines().count()), (1, 1), "{self:#?}");
        self.errors.trim()
    }
}
