"""The bridge: takes an image from Kafka, posts it to the inference server, and puts the answer on Kafka."""

import argparse
import json
import logging
import time
from collections.abc import Callable

import requests
from kafka import KafkaConsumer, KafkaProducer
from kafka.consumer.fetcher import ConsumerRecord

from events import IMAGES, INFERENCES, answer_headers, text_headers


def classify(post: Callable[..., requests.Response], url: str, image: bytes, content_type: str) -> dict:
    """The server's answer, or what went wrong, as `error`."""
    try:
        response = post(url, data=image, headers={"Content-Type": content_type}, timeout=30)
        response.raise_for_status()
        return response.json()
    except requests.RequestException as error:
        logging.error("the inference server: %s", error)
        return {"error": str(error)}


def answer(record: ConsumerRecord, post: Callable[..., requests.Response], url: str, producer: KafkaProducer) -> None:
    image = text_headers(record.headers)
    begun = time.monotonic()
    body = classify(post, url, record.value, image["content-type"])
    micros = round((time.monotonic() - begun) * 1e6)
    partition = image.get("tailrace_reply_partition")
    producer.send(
        INFERENCES,
        value=json.dumps(body).encode(),
        key=image["ce_source"].encode(),
        partition=None if partition is None else int(partition),
        headers=answer_headers(image, failed="error" in body, compute_micros=micros),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--group", default="inference-consumer")
    parser.add_argument("--url", required=True, help="of the inference server, with its path")
    parser.add_argument("--keep-connection", action="store_true", help="post over one HTTP connection")
    options = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)

    consumer = KafkaConsumer(
        IMAGES, bootstrap_servers=options.bootstrap_servers, group_id=options.group, auto_offset_reset="earliest"
    )
    producer = KafkaProducer(bootstrap_servers=options.bootstrap_servers)
    post = requests.Session().post if options.keep_connection else requests.post
    for record in consumer:
        answer(record, post, options.url, producer)


if __name__ == "__main__":
    main()
