"""Writes raw images and inferences into the database, each as it comes."""

import argparse
import json
import os

from kafka import KafkaConsumer
from kafka.consumer.fetcher import ConsumerRecord
from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError

from events import IMAGES, INFERENCES, subject, text_headers


def image(record: ConsumerRecord, headers: dict[str, str]) -> dict:
    return {
        "_id": subject(headers),
        "contentType": headers["content-type"],
        "time": headers["ce_time"],
        "picture": record.value,
    }


def inference(record: ConsumerRecord, headers: dict[str, str]) -> dict:
    return {"_id": headers["ce_subject"], "time": headers["ce_time"], **json.loads(record.value)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--group", default="db-consumer")
    parser.add_argument("--database", default="iot")
    options = parser.parse_args()

    database = MongoClient(os.environ["MONGODB_URI"])[options.database]
    consumer = KafkaConsumer(
        IMAGES,
        INFERENCES,
        bootstrap_servers=options.bootstrap_servers,
        group_id=options.group,
        auto_offset_reset="earliest",
    )
    for record in consumer:
        headers = text_headers(record.headers)
        name, document = ("images", image) if record.topic == IMAGES else ("inferences", inference)
        try:
            database[name].insert_one(document(record, headers))
        except DuplicateKeyError:
            pass  # Kafka has delivered it a second time.


if __name__ == "__main__":
    main()
