"""Pipelines that are ready."""

import logging
from concurrent.futures import ThreadPoolExecutor

from cluster import Api, ours, until
from kubelet import Kubelet

CREATORS = 4
# For one Pipeline, on a machine that has other work, too.
PATIENCE_SECONDS = 2


def name_of(number: int) -> str:
    return f"pipeline-{number:03}"


def make(api: Api, kubelet: Kubelet, count: int) -> None:
    """Creates so many and waits until the operator says of each that it is ready."""

    def create(number: int) -> None:
        kind = {"apiVersion": "tailrace.dev/v1alpha1", "kind": "Pipeline"}
        api.create(ours("pipelines"), kind | {"metadata": {"name": name_of(number)}, "spec": {}})

    with ThreadPoolExecutor(CREATORS) as creators:
        list(creators.map(create, range(count)))
    logging.info("%d Pipelines are created", count)

    def ready() -> object:
        if kubelet.failure:
            raise kubelet.failure
        now = sum(is_ready(pipeline) for pipeline in api.get(ours("pipelines"))["items"])
        return now == count or f"{now} of {count}"

    until("Pipelines become ready", 60 + PATIENCE_SECONDS * count, ready, pause=1)


def is_ready(pipeline: dict) -> bool:
    conditions = pipeline.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
