//! Each message, from the ends of the logs of the producers' pods.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, ResourceExt,
    api::{ListParams, LogParams},
};
use tailrace_report::raw_log::{self, Message};

use crate::{
    cluster::{Cluster, answer},
    failure::Failure,
};

/// Of all producers, each in the order of its log. A log that is gone is told and left out.
pub async fn read(cluster: &Cluster, load_test: &str, producers: i32) -> Result<Vec<Message>, Failure> {
    let pods: Api<Pod> = cluster.api();
    let mut messages = vec![];
    for index in 0..producers {
        let job = format!("{load_test}-producer-{index}");
        let selected = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"));
        let found = answer(&format!("the pods of Job \"{job}\" cannot be read"), pods.list(&selected)).await?;
        // A Job whose pod was replaced is not a result: the last one is the one that reported.
        let last = found.items.into_iter().max_by_key(|pod| pod.creation_timestamp().map(|created| created.0));
        match last {
            Some(pod) => messages.extend(of_pod(&pods, &pod.name_any()).await),
            None => eprintln!("the pod of Job \"{job}\" was deleted, and its raw log with it"),
        }
    }
    Ok(messages)
}

async fn of_pod(pods: &Api<Pod>, name: &str) -> Vec<Message> {
    let logs = answer("its log cannot be read", pods.logs(name, &LogParams::default())).await;
    let messages = logs.map_err(|failure| failure.to_string());
    let messages = messages.and_then(|log| raw_log::parse(&log).map_err(|error| error.to_string()));
    messages.unwrap_or_else(|why| {
        eprintln!("the messages of pod \"{name}\" are left out: {why}");
        vec![]
    })
}
