//! FerretDB: the MongoDB protocol on SQLite.

use std::{process::Command, time::Duration};

use mongodb::{
    Client,
    bson::{DateTime, Document, doc},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::{eventually, free_port, process::Process, third_party};

pub struct Database {
    process: Option<Process>,
    port: u16,
    folder: TempDir,
    runtime: Runtime,
}

impl Database {
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut database = Self { process: None, port: free_port(), folder: tempfile::tempdir().unwrap(), runtime };
        database.resume();
        database
    }

    /// It goes away, and keeps its files.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// It comes back, at the same address.
    pub fn resume(&mut self) {
        let mut command = Command::new(third_party("bin/ferretdb"));
        command
            .arg(format!("-listen-addr=127.0.0.1:{}", self.port))
            .arg(format!("-sqlite-url=file:{}/", self.folder.path().display()));
        self.process = Some(Process::start(&command, &self.folder.path().join("ferretdb.log")));
        eventually("the database answers", Duration::from_secs(20), || self.count("images", doc! {}));
    }

    pub fn uri(&self) -> String {
        format!("mongodb://127.0.0.1:{}/", self.port)
    }

    /// How many documents of the database `iot` match; none while it is away.
    pub fn count(&self, collection: &str, filter: Document) -> Option<u64> {
        let uri = format!("{}?serverSelectionTimeoutMS=500", self.uri());
        self.runtime.block_on(async {
            let client = Client::with_uri_str(uri).await.unwrap();
            client.database("iot").collection::<Document>(collection).count_documents(filter).await.ok()
        })
    }

    /// The one document of the database `iot` with this `_id`.
    pub fn document(&self, collection: &str, id: &str) -> Option<Document> {
        self.runtime.block_on(async {
            let client = Client::with_uri_str(self.uri()).await.unwrap();
            client.database("iot").collection(collection).find_one(doc! {"_id": id}).await.unwrap()
        })
    }

    /// Stores documents as if it had been so long ago. They come before all others.
    pub fn insert_old(&self, collection: &str, count: usize, ago: Duration) {
        let stored = DateTime::from_millis(DateTime::now().timestamp_millis() - ago.as_millis() as i64);
        let documents = (0..count).map(|id| doc! {"_id": format!("old/{id}"), "storedAt": stored});
        self.runtime.block_on(async {
            let collection = Client::with_uri_str(self.uri()).await.unwrap().database("iot").collection(collection);
            let all = collection.find(doc! {}).await.unwrap();
            let present: Vec<Document> = futures::TryStreamExt::try_collect(all).await.unwrap();
            collection.delete_many(doc! {}).await.unwrap();
            collection.insert_many(documents.chain(present)).await.unwrap();
        });
    }
}
