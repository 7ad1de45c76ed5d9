"""Plays the kubelets: pods run as soon as they are there, and those of a Pipeline's Jobs succeed."""

import http.client
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from cluster import Api, core
from loopback.processes import Failed

COMPONENT = "app.kubernetes.io/component"
# What the Jobs of a Pipeline say in the end: topics that are there, an image that went through.
TOPICS = (
    '{"topics":[{"name":"iot_images","partitions":12},{"name":"inferences","partitions":12},'
    '{"name":"iot_images.dlq","partitions":1}]}'
)
CHECKED = '{"model":{"name":"resnet20","sha256":"4242"},"millis":31}'
LAST_WORDS = {"topics": TOPICS, "check": CHECKED}
PLAYERS = 8
LONGEST_BENCH = 3600


def now() -> str:
    """The time, to the microsecond."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def running(pod: dict) -> dict:
    """The status of a pod that runs and is ready."""
    time = now()[:19] + "Z"
    condition = {"status": "True", "lastTransitionTime": time}
    return {
        "phase": "Running",
        "startTime": time,
        "conditions": [
            {"type": type_} | condition for type_ in ("Initialized", "Ready", "ContainersReady", "PodScheduled")
        ],
        "containerStatuses": [container(pod, {"running": {"startedAt": time}}, ready=True)],
    }


def succeeded(pod: dict, last_words: str) -> dict:
    """The status of a pod that has ended well."""
    terminated = {"exitCode": 0, "reason": "Completed", "message": last_words}
    return {"phase": "Succeeded", "containerStatuses": [container(pod, {"terminated": terminated}, ready=False)]}


def container(pod: dict, state: dict, ready: bool) -> dict:
    spec = pod["spec"]["containers"][0]
    image = {"name": spec["name"], "image": spec["image"], "imageID": f"bench@sha256:{'42' * 32}"}
    return image | {"ready": ready, "started": ready, "restartCount": 0, "state": state}


class Kubelet:
    """All of them. `producer_runs` is told of each pod of a producer that runs."""

    def __init__(self, api: Api, producer_runs: Callable[[dict], None]) -> None:
        self.api, self.producer_runs = api, producer_runs
        self.players = ThreadPoolExecutor(PLAYERS, thread_name_prefix="kubelet")
        self.failure: Exception | None = None
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self) -> None:
        try:
            for event in self.api.watch(core("pods"), LONGEST_BENCH):
                if event["type"] == "ADDED":
                    self.players.submit(self.play, event["object"])
        except (OSError, http.client.HTTPException, Failed) as failure:
            self.failure = failure

    def play(self, pod: dict) -> None:
        try:
            component = pod["metadata"]["labels"].get(COMPONENT)
            self.is_now(pod, running(pod))
            if component in LAST_WORDS:
                self.is_now(pod, succeeded(pod, LAST_WORDS[component]))
            elif component == "producer":
                self.producer_runs(pod)
        except Exception as failure:  # whoever waits for the pods says it
            logging.warning("pod %s: %s", pod["metadata"]["name"], failure)
            self.failure = failure

    def is_now(self, pod: dict, status: dict) -> None:
        """A pod that is gone is nobody's concern."""
        self.api.change(core("pods", pod["metadata"]["name"]) + "/status", {"status": status})
