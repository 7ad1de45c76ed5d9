//! What a pod says about itself: why it does not run, and its last words.

use k8s_openapi::api::core::v1::{Container, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod};
use kube::ResourceExt;
use serde_json::Value;

/// What keeps a pod from running; nothing that goes by itself within a normal start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The kubelet's or the scheduler's word for it, such as `ImagePullBackOff` or `Unschedulable`.
    pub reason: String,
    /// The pod and the details, in one sentence.
    pub message: String,
}

/// What keeps `pod` from running, if anything does.
pub fn trouble(pod: &Pod) -> Option<Trouble> {
    let statuses = containers(pod);
    let stuck = statuses.clone().find_map(stuck);
    let (reason, details) = stuck.or_else(|| unschedulable(pod)).or_else(|| statuses.clone().find_map(failed))?;
    Some(Trouble { message: format!("pod {}: {reason}: {details}", pod.name_any()), reason })
}

/// How a pod's only container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastWords<'a> {
    /// Whether it ended as it should.
    pub succeeded: bool,
    /// Its termination message.
    pub text: &'a str,
}

/// The termination message of the pod's only container, once it has ended with one.
pub fn last_words(pod: &Pod) -> Option<LastWords<'_>> {
    let ended = containers(pod).find_map(|container| container.state.as_ref()?.terminated.as_ref())?;
    Some(LastWords { succeeded: ended.exit_code == 0, text: words(ended)? })
}

/// The annotation by which the API server says what a LimitRange has changed.
pub const LIMIT_RANGER: &str = "kubernetes.io/limit-ranger";

/// A container of a pod.
pub fn container<'a>(pod: &'a Pod, name: &str) -> Option<&'a Container> {
    pod.spec.as_ref()?.containers.iter().find(|container| container.name == name)
}

fn containers(pod: &Pod) -> impl Iterator<Item = &ContainerStatus> + Clone {
    pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten())
}

fn stuck(container: &ContainerStatus) -> Option<(String, String)> {
    let waiting: &ContainerStateWaiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref()?;
    if matches!(reason, "ContainerCreating" | "PodInitializing") {
        return None;
    }
    let before = container.last_state.as_ref().and_then(|state| state.terminated.as_ref()).map(ending);
    let details = before.or_else(|| waiting.message.clone()).unwrap_or_default();
    Some((reason.to_owned(), details))
}

fn unschedulable(pod: &Pod) -> Option<(String, String)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled = conditions.iter().find(|condition| condition.type_ == "PodScheduled")?;
    (scheduled.status == "False").then(|| {
        let reason = scheduled.reason.clone().unwrap_or_else(|| "Unschedulable".into());
        (reason, scheduled.message.clone().unwrap_or_default())
    })
}

fn failed(container: &ContainerStatus) -> Option<(String, String)> {
    let ended = container.state.as_ref()?.terminated.as_ref()?;
    (ended.exit_code != 0).then(|| (ended.reason.clone().unwrap_or_else(|| "Error".into()), ending(ended)))
}

fn ending(ended: &ContainerStateTerminated) -> String {
    match (words(ended), ended.reason.as_deref()) {
        // Where the message is the end of the log, its last line is the error.
        (Some(message), _) => sentence(message.lines().next_back().unwrap_or(message)),
        (None, Some("OOMKilled")) => "it needed more memory than its limit".into(),
        (None, _) => format!("it ended with exit code {}", ended.exit_code),
    }
}

/// The message in a line of a log, which can be an object.
fn sentence(line: &str) -> String {
    let object: Option<Value> = serde_json::from_str(line).ok();
    let message = object.as_ref().and_then(|object| object["message"].as_str());
    message.unwrap_or(line).to_owned()
}

fn words(ended: &ContainerStateTerminated) -> Option<&str> {
    ended.message.as_deref().map(str::trim).filter(|message| !message.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(status: &str) -> Pod {
        serde_yaml_ng::from_str(&format!("metadata: {{name: cifar-archive-0}}\nstatus: {status}")).unwrap()
    }

    #[test]
    fn a_missing_secret_is_told_in_the_kubelets_words() {
        let pod =
            pod("{containerStatuses: [{name: archive, ready: false, restartCount: 0, image: i, imageID: '', state:
            {waiting: {reason: CreateContainerConfigError, message: 'secret \"mongo\" not found'}}}]}");
        let trouble = trouble(&pod).unwrap();
        assert_eq!(trouble.reason, "CreateContainerConfigError");
        let expected = "pod cifar-archive-0: CreateContainerConfigError: secret \"mongo\" not found";
        assert_eq!(trouble.message, expected);
    }

    #[test]
    fn a_crash_loop_is_told_by_the_last_words_of_the_crash() {
        let pod = pod("{containerStatuses: [{name: archive, ready: false, restartCount: 3, image: i, imageID: '', state:
            {waiting: {reason: CrashLoopBackOff, message: 'back-off 10s'}}, lastState: {terminated: {exitCode: 1, message: 'no broker at x:9092'}}}]}");
        assert_eq!(trouble(&pod).unwrap().message, "pod cifar-archive-0: CrashLoopBackOff: no broker at x:9092");
    }

    #[test]
    fn of_a_log_only_the_last_line_is_told() {
        let pod =
            pod("{containerStatuses: [{name: producer, ready: false, restartCount: 0, image: i, imageID: '', state:
            {terminated: {exitCode: 1, reason: Error, message: \"connected\\nno broker at x:9092\\n\"}}}]}");
        assert_eq!(trouble(&pod).unwrap().message, "pod cifar-archive-0: Error: no broker at x:9092");
    }

    #[test]
    fn of_a_log_in_json_only_the_message_is_told() {
        let pod =
            pod("{containerStatuses: [{name: producer, ready: false, restartCount: 0, image: i, imageID: '', state:
            {terminated: {exitCode: 1, message: '{\"level\":\"ERROR\",\"message\":\"no broker at x:9092\"}'}}}]}");
        assert_eq!(trouble(&pod).unwrap().message, "pod cifar-archive-0: Error: no broker at x:9092");
    }

    #[test]
    fn a_pod_without_a_node_is_told_in_the_schedulers_words() {
        let pod =
            pod("{conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable, message: 'no volume'}]}");
        assert_eq!(trouble(&pod).unwrap().message, "pod cifar-archive-0: Unschedulable: no volume");
    }

    #[test]
    fn a_normal_start_is_no_trouble() {
        let creating =
            pod("{containerStatuses: [{name: archive, ready: false, restartCount: 0, image: i, imageID: '', state:
            {waiting: {reason: ContainerCreating}}}]}");
        assert_eq!(trouble(&creating), None);
        assert_eq!(trouble(&pod("{}")), None);
    }
}
