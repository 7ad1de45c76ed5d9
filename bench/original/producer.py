"""Sends CIFAR-10 images one at a time, waits for the answer to each, and prints the percentiles of the latency as JSON."""

import argparse
import json
import statistics
import time
import uuid
from itertools import count, cycle
from pathlib import Path

from kafka import KafkaConsumer, KafkaProducer

from events import IMAGES, INFERENCES, image_headers, text_headers


def subscribed(bootstrap_servers: str) -> KafkaConsumer:
    """Reads all partitions of the answers from their end on."""
    consumer = KafkaConsumer(INFERENCES, bootstrap_servers=bootstrap_servers, auto_offset_reset="latest")
    while not consumer.assignment():
        consumer.poll(100)
    for partition in consumer.assignment():
        consumer.position(partition)
    return consumer


def latencies(images: list[bytes], options: argparse.Namespace) -> list[float]:
    """Seconds from send to answer, of the images sent after the warm-up."""
    source = f"producer-{uuid.uuid4()}"
    consumer = subscribed(options.bootstrap_servers)
    producer = KafkaProducer(bootstrap_servers=options.bootstrap_servers)
    measured = []
    begun = time.time()
    for number, image in zip(count(), cycle(images)):
        sent = time.time()
        if sent > begun + options.warmup + options.duration:
            return measured
        producer.send(IMAGES, image, headers=image_headers(source, number))
        wanted = f"{source}/{number}"
        next(answer for answer in consumer if text_headers(answer.headers)["ce_subject"] == wanted)
        if sent > begun + options.warmup:
            measured.append(time.time() - sent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--images", type=Path, required=True, help="a folder of PNG files")
    parser.add_argument("--warmup", type=float, default=3, help="seconds")
    parser.add_argument("--duration", type=float, default=8, help="seconds")
    options = parser.parse_args()

    images = [file.read_bytes() for file in sorted(options.images.glob("*.png"))]
    measured = latencies(images, options)
    cuts = statistics.quantiles(measured, n=100)
    print(json.dumps({f"p{p}": round(cuts[p - 1] * 1e3, 2) for p in (50, 90, 95)} | {"images": len(measured)}))


if __name__ == "__main__":
    main()
