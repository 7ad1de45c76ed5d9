"""LoadTests whose producers are played, and copies of one that is over."""

import json
import logging
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cluster import Api, core, ours, path
from hdrh.histogram import HdrHistogram
from kubelet import now
from loopback.processes import Failed
from pipelines import name_of

PRODUCERS, RATE = 3, 20
# Ten minutes, second by second.
SECONDS = 600
MEDIAN_MICROS, SPREAD = 2_500, 0.4
LOWEST_MICROS, HIGHEST_MICROS, DIGITS = 1, 3_600_000_000, 3
COPIERS = 12
PATIENCE_SECONDS = 120
LONGEST_SILENCE = 10
FINAL = ("Succeeded", "Missed", "Invalid", "Failed", "Aborted")
PERMISSIONS = "/apis/rbac.authorization.k8s.io/v1"


def histogram(values: list[int]) -> str:
    """As a producer reports it."""
    kept = HdrHistogram(LOWEST_MICROS, HIGHEST_MICROS, DIGITS)
    for value in values:
        kept.record_value(value)
    return kept.encode().decode()


def result(index: int) -> dict:
    """What a producer reports after ten minutes: latencies are log-normal, the same in each run."""
    draw = random.Random(index)
    seconds = [[round(MEDIAN_MICROS * draw.lognormvariate(0, SPREAD)) for _ in range(RATE)] for _ in range(SECONDS)]
    latencies = [latency for second in seconds for latency in second]
    total, whole = len(latencies), histogram(latencies)
    messages = {"scheduled": total, "sent": total, "received": total}
    part = histogram([max(latency // 3, 1) for latency in latencies])
    return {
        "messages": messages | {"sendErrors": 0, "lost": 0, "duplicates": 0, "answerErrors": 0},
        "warmupMessages": dict.fromkeys(["scheduled", "sent", "received"], 5 * RATE)
        | {"sendErrors": 0, "lost": 0, "duplicates": 0, "answerErrors": 0},
        "correct": total * 9 // 10,
        "compared": total,
        "measuredMicros": SECONDS * 1_000_000,
        "startDelayMicros": 100 * index,
        "latency": whole,
        "serviceLatency": whole,
        "sendDelay": histogram([20 + draw.randrange(50) for _ in latencies]),
        "stages": {"queue": part, "compute": part, "acknowledgement": part, "rest": part},
        "intervals": {
            "seconds": 1,
            "scheduled": [RATE] * SECONDS,
            "answered": [RATE] * SECONDS,
            "latency": [histogram(second) for second in seconds],
        },
        "throttledMicros": 0,
        "topicRecords": PRODUCERS * total,
        "clientSettings": {"acks": "all", "linger.ms": "0", "compression.type": "none"},
    }


def progress() -> dict:
    """What a producer says every two seconds."""
    sent = 2 * RATE
    counts = dict.fromkeys(["scheduled", "sent", "received"], sent)
    messages = counts | {"sendErrors": 0, "lost": 0, "duplicates": 0, "answerErrors": 0}
    return {"messages": messages, "recentLatency": histogram([MEDIAN_MICROS] * sent), "recentMillis": 2_000}


class Producers:
    """All of them. Each is ready as soon as its pod runs, and reports when it is told to."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.progress, self.results = progress(), [result(index) for index in range(PRODUCERS)]

    def runs(self, pod: dict) -> None:
        """Its pod has just been seen running."""
        report = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
        self.says(report, {"podUid": pod["metadata"]["uid"], "node": "node-of-bench", "readyAt": now()})

    def report(self, test: str) -> None:
        """All of one test end."""
        for index, result in enumerate(self.results):
            name = f"{test}-producer-{index}"
            self.says(name, {"progress": self.progress})
            self.says(name, {"result": result})

    def says(self, report: str, status: dict) -> None:
        if not self.api.change(ours("producerreports", report) + "/status", {"status": status}):
            raise Failed(f"ProducerReport {report} is gone before its producer has reported")


@dataclass(frozen=True)
class Followed:
    """Seconds from the creation of a LoadTest, as its watch tells it, to each of its phases."""

    seconds: dict[str, float]
    message: str


def run(api: Api, producers: Producers, name: str, pipeline: str) -> Followed:
    """Creates a LoadTest, lets its producers report as soon as it runs, and returns when it is over."""
    load_test = {
        "apiVersion": "tailrace.dev/v1alpha1",
        "kind": "LoadTest",
        "metadata": {"name": name},
        "spec": {
            "pipelineRef": {"name": pipeline},
            "producers": PRODUCERS,
            "load": {"open": {"ratePerProducer": RATE}},
            "warmup": "0s",
            "duration": f"{SECONDS}s",
            "slos": [{"metric": "P95", "max": "50ms"}, {"metric": "UnansweredPercent", "max": "0"}],
        },
    }
    seconds: dict[str, float] = {}
    messages: list[str] = []
    began = time.monotonic()

    def follow() -> None:
        target = ours("loadtests") + f"?fieldSelector=metadata.name={name}"
        events = api.watch(target, PATIENCE_SECONDS)
        for event in events:
            status = event["object"].get("status", {})
            phase = status.get("phase")
            if phase and phase not in seconds:
                seconds[phase] = time.monotonic() - began
                logging.debug("%s: %s", name, phase)
                if phase == "Running":
                    reporting.start()
            if phase in FINAL:
                messages.append(status.get("message", ""))
                return

    failures: list[Exception] = []

    def report() -> None:
        try:
            producers.report(name)
            seconds["reported"] = time.monotonic() - began
        except Failed as failure:
            failures.append(failure)

    reporting = threading.Thread(target=report, daemon=True)
    following = threading.Thread(target=follow, daemon=True)
    api.create(ours("loadtests"), load_test)
    following.start()
    following.join(PATIENCE_SECONDS)
    if reporting.ident:
        reporting.join()
    if failures:
        raise failures[0]
    if not messages:
        raise Failed(f"LoadTest {name} was not over within {PATIENCE_SECONDS} s: {seconds}")
    if "Succeeded" not in seconds:
        raise Failed(f"LoadTest {name} did not succeed: {messages[0]}")
    return Followed(seconds, messages[0])


@dataclass(frozen=True)
class Template:
    """A LoadTest that is over, with all that the operator has left of it: pairs of the path and the object."""

    name: str
    uid: str
    pipeline: str
    test: dict
    parts: list[tuple[str, dict]]

    @classmethod
    def read(cls, api: Api, name: str, pipeline: str) -> "Template":
        """As the API server has it now."""
        test = api.get(ours("loadtests", name))
        of_producers = f"{name}-producer"
        names = [
            *((ours("producerreports"), f"{of_producers}-{index}") for index in range(PRODUCERS)),
            (core("configmaps"), f"{name}-histograms"),
            (core("serviceaccounts"), of_producers),
            (path(PERMISSIONS, "roles"), of_producers),
            (path(PERMISSIONS, "rolebindings"), of_producers),
        ]
        parts = [(kind, bare(api.get(f"{kind}/{part}"))) for kind, part in names]
        return cls(name, test["metadata"]["uid"], pipeline, bare(test), parts)

    def sizes(self) -> dict[str, int]:
        """Bytes of JSON."""
        sizes = {"LoadTest": len(json.dumps(self.test))}
        for _, part in self.parts:
            sizes[part["kind"]] = len(json.dumps(part))
        return sizes

    def copy(self, api: Api, name: str, pipeline: str) -> None:
        """Makes one like it."""

        def make(kind: str, wanted: dict, uid: str) -> str:
            """Status included; its UID."""
            text = json.dumps(wanted)
            for old, new in {self.name: name, self.pipeline: pipeline, self.uid: uid}.items():
                text = text.replace(old, new)
            metadata = api.create(kind, text)["metadata"]
            if "status" in wanted:
                api.change(f"{kind}/{metadata['name']}/status", {"status": json.loads(text)["status"]})
            return metadata["uid"]

        uid = make(ours("loadtests"), self.test, self.uid)
        for kind, part in self.parts:
            make(kind, part, uid)


def bare(found: dict) -> dict:
    """What somebody would write who wanted the same."""
    kept = ("name", "labels", "annotations", "ownerReferences")
    metadata = {key: value for key, value in found["metadata"].items() if key in kept}
    return found | {"metadata": metadata}


def fill(api: Api, template: Template, have: int, want: int, pipelines: int) -> None:
    """Copies until there are so many."""
    begin = said = time.monotonic()
    with ThreadPoolExecutor(COPIERS) as copiers:
        copies = (
            copiers.submit(template.copy, api, f"over-{number:05}", name_of(number % pipelines))
            for number in range(have, want)
        )
        for done, copy in enumerate(list(copies), start=1):
            copy.result()
            if time.monotonic() - said > LONGEST_SILENCE:
                said = time.monotonic()
                logging.info("  %d of %d LoadTests that are over are copied", done, want - have)
    logging.info("  copied in %.0f s", time.monotonic() - begin)
