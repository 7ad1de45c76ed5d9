//! The managed database of a Pipeline, through `kubectl port-forward`.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use mongodb::{
    Client, Collection,
    bson::{Document, doc},
};
use tokio::time::sleep;

use crate::Cluster;

/// A connection that lasts as long as its port-forward.
pub struct Database {
    forward: Child,
    client: Client,
    name: String,
}

impl Database {
    /// Opens a port to the Service and connects.
    ///
    /// # Errors
    /// If kubectl is missing or the database does not answer within ten seconds.
    pub async fn connect(cluster: &Cluster, service: &str, name: &str) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let forward = Command::new("kubectl")
            .args(["--namespace", &cluster.namespace, "port-forward", &format!("service/{service}")])
            .arg(format!("{port}:27017"))
            .stdout(Stdio::null())
            .spawn()
            .context("kubectl is not in PATH: run tests/end-to-end/run")?;
        let client = Client::with_uri_str(format!("mongodb://127.0.0.1:{port}/?directConnection=true")).await?;
        let database = Self { forward, client, name: name.to_owned() };
        database.answers().await?;
        Ok(database)
    }

    async fn answers(&self) -> Result<()> {
        let mut last = None;
        for _ in 0..20 {
            match self.client.database(&self.name).run_command(doc! {"ping": 1}).await {
                Ok(_) => return Ok(()),
                Err(error) => last = Some(error),
            }
            sleep(Duration::from_millis(500)).await;
        }
        Err(last.context("not asked")?.into())
    }

    /// A collection of the Pipeline's database.
    pub fn collection(&self, name: &str) -> Collection<Document> {
        self.client.database(&self.name).collection(name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // It may have ended by itself with the pod.
        let _ = self.forward.kill();
        let _ = self.forward.wait();
    }
}
