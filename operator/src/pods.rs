//! What a pod says about itself: why it does not run, and its last words.

use k8s_openapi::api::core::v1::{Container, ContainerStateTerminated, ContainerStateWaiting, ContainerStatus, Pod};
use kube::ResourceExt;
use serde_json::Value;

/// The kubelet's word for a container that needed more memory than its limit.
const OUT_OF_MEMORY: &str = "OOMKilled";

/// What keeps a pod from running; nothing that goes by itself within a normal start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The kubelet's or the scheduler's word for it, such as `ImagePullBackOff` or `Unschedulable`.
    pub reason: String,
    /// The pod and the details, in one sentence.
    pub message: String,
}

impl Trouble {
    /// Whether it can go without a change of what the pod was made from: a Secret or a claim that is made, room on a
    /// node, a registry that answers again. Only the name of an image stays as it is.
    pub fn can_heal(&self) -> bool {
        self.reason != "InvalidImageName"
    }
}

/// What keeps `pod` from running, if anything does.
pub fn trouble(pod: &Pod) -> Option<Trouble> {
    let statuses = containers(pod);
    let stuck = statuses.clone().find_map(stuck);
    let ended = stuck.or_else(|| unschedulable(pod)).or_else(|| statuses.clone().find_map(failed));
    let (reason, details) = ended.or_else(|| turned_away(pod))?;
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
    let lists = pod.status.iter().flat_map(|status| [&status.init_container_statuses, &status.container_statuses]);
    lists.flat_map(|list| list.iter().flatten())
}

fn stuck(container: &ContainerStatus) -> Option<(String, String)> {
    let waiting: &ContainerStateWaiting = container.state.as_ref()?.waiting.as_ref()?;
    let reason = waiting.reason.as_deref()?;
    if matches!(reason, "ContainerCreating" | "PodInitializing") {
        return None;
    }
    let before = container.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let reason = if before.is_some_and(is_out_of_memory) { OUT_OF_MEMORY } else { reason };
    let details = before.map(ending).or_else(|| waiting.message.clone()).unwrap_or_default();
    Some((reason.to_owned(), details))
}

/// By the kubelet, which evicted it or had no room for it.
fn turned_away(pod: &Pod) -> Option<(String, String)> {
    let status = pod.status.as_ref().filter(|status| status.phase.as_deref() == Some("Failed"))?;
    Some((status.reason.clone()?, status.message.clone().unwrap_or_default()))
}

fn unschedulable(pod: &Pod) -> Option<(String, String)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled = conditions.iter().find(|condition| condition.type_ == "PodScheduled")?;
    (scheduled.status == "False").then(|| {
        let reason = scheduled.reason.clone().unwrap_or_else(|| "Unschedulable".into());
        let message = scheduled.message.as_deref().unwrap_or_default();
        (reason, in_figures(pod, message).unwrap_or_else(|| message.to_owned()))
    })
}

/// The scheduler says on how many nodes something is missing, and not how much is asked for: `0/4 nodes are available:
/// 3 Insufficient cpu, 1 node(s) had untolerated taint(s). preemption: ...`.
fn in_figures(pod: &Pod, message: &str) -> Option<String> {
    let (nodes, why) = message.strip_prefix("0/")?.split_once(" nodes are available: ")?;
    let why = why.split(" preemption:").next()?.trim_end_matches('.');
    let missing = |name: &str| why.contains(&format!("Insufficient {name}"));
    let wanted: Vec<_> = ["cpu", "memory", "ephemeral-storage"]
        .into_iter()
        .filter(|name| missing(name))
        .filter_map(|name| Some(format!("{name} {}", requested(pod, name)?)))
        .collect();
    (!wanted.is_empty()).then(|| format!("none of {nodes} nodes has {} free for it: {why}", wanted.join(" and ")))
}

/// What all containers request together, as they write it.
fn requested(pod: &Pod, name: &str) -> Option<String> {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let requests = containers.filter_map(|container| container.resources.as_ref()?.requests.as_ref()?.get(name));
    let requests: Vec<_> = requests.map(|quantity| quantity.0.as_str()).collect();
    (!requests.is_empty()).then(|| requests.join(" + "))
}

fn failed(container: &ContainerStatus) -> Option<(String, String)> {
    let ended = container.state.as_ref()?.terminated.as_ref()?;
    (ended.exit_code != 0).then(|| (ended.reason.clone().unwrap_or_else(|| "Error".into()), ending(ended)))
}

fn ending(ended: &ContainerStateTerminated) -> String {
    if is_out_of_memory(ended) {
        // What it logged last is not why it ended.
        return "it needed more memory than its limit".into();
    }
    match words(ended) {
        // Where the message is the end of the log, its last line is the error.
        Some(message) => sentence(message.lines().next_back().unwrap_or(message)),
        None => format!("it ended with exit code {}", ended.exit_code),
    }
}

fn is_out_of_memory(ended: &ContainerStateTerminated) -> bool {
    ended.reason.as_deref() == Some(OUT_OF_MEMORY)
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
    fn missing_cpu_is_told_in_figures() {
        let scheduled = "status: 'False', reason: Unschedulable, message: '0/4 nodes are available: 3 Insufficient cpu, \
            1 node(s) had untolerated taint(s). preemption: 0/4 nodes are available: 3 No preemption victims found.'";
        let mut pod = pod(&format!("{{conditions: [{{type: PodScheduled, {scheduled}}}]}}"));
        let resources = "{containers: [{name: a, resources: {requests: {cpu: 500m, memory: 1Gi}}}]}";
        pod.spec = Some(serde_yaml_ng::from_str(resources).unwrap());
        let expected = "pod cifar-archive-0: Unschedulable: none of 4 nodes has cpu 500m free for it: \
            3 Insufficient cpu, 1 node(s) had untolerated taint(s)";
        assert_eq!(trouble(&pod).unwrap().message, expected);
    }

    #[test]
    fn a_container_killed_for_its_memory_says_so_whatever_it_logged_last() {
        let looping = pod("{containerStatuses: [{name: archive, ready: false, restartCount: 3, image: i, imageID: '', state:
            {waiting: {reason: CrashLoopBackOff, message: 'back-off 10s'}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled, message: 'connected'}}}]}");
        let expected = "pod cifar-archive-0: OOMKilled: it needed more memory than its limit";
        assert_eq!(trouble(&looping).unwrap().message, expected);
    }

    #[test]
    fn a_pod_that_its_node_turned_away_says_why() {
        let evicted = pod(
            "{phase: Failed, reason: OutOfcpu, message: 'Node did not have enough resource: cpu, requested: 500, used: 800, capacity: 1000'}",
        );
        let message = trouble(&evicted).unwrap().message;
        assert!(
            message.starts_with("pod cifar-archive-0: OutOfcpu: Node did not have enough resource: cpu"),
            "{message}"
        );
    }

    #[test]
    fn of_all_reasons_only_the_name_of_an_image_never_heals() {
        let never = ["InvalidImageName"];
        let later = [
            // A kubelet's, while a container waits.
            "CreateContainerConfigError",
            "CreateContainerError",
            "RunContainerError",
            "ErrImagePull",
            "ImagePullBackOff",
            "ErrImageNeverPull",
            "ImageInspectError",
            "RegistryUnavailable",
            "SignatureValidationFailed",
            "CrashLoopBackOff",
            "OOMKilled",
            "Error",
            "PostStartHookError",
            // Its and others' events.
            "FailedCreate",
            "FailedMount",
            "FailedAttachVolume",
            "FailedCreatePodSandBox",
            // A scheduler's.
            "Unschedulable",
            "SchedulingGated",
        ];
        let table = never.map(|reason| (reason, false)).into_iter().chain(later.map(|reason| (reason, true)));
        for (reason, heals) in table {
            let trouble = Trouble { reason: reason.into(), message: String::new() };
            assert_eq!(trouble.can_heal(), heals, "{reason}");
        }
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
