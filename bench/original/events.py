"""Records as Tailrace's producer writes and reads them: CloudEvents 1.0 in Kafka headers (workers/wire/src/lib.rs)."""

from datetime import datetime, timezone
from itertools import count

IMAGES = "iot_images"
INFERENCES = "inferences"
SOURCE = "inference-consumer"

Headers = list[tuple[str, bytes]]
_ids = count()


def text_headers(headers: Headers) -> dict[str, str]:
    return {name: value.decode() for name, value in headers}


def subject(image: dict[str, str]) -> str:
    """The name of an image: in its answer, and as `_id` in the database."""
    return f"{image['ce_source']}/{image['ce_id']}"


def now() -> str:
    return datetime.now(timezone.utc).isoformat()


def image_headers(source: str, number: int, reply_partition: int | None = None) -> Headers:
    headers = {
        "content-type": "image/png",
        "ce_specversion": "1.0",
        "ce_type": "dev.tailrace.image",
        "ce_source": source,
        "ce_id": str(number),
        "ce_time": now(),
    }
    if reply_partition is not None:
        headers["tailrace_reply_partition"] = str(reply_partition)
    return encoded(headers)


def answer_headers(image: dict[str, str], failed: bool, compute_micros: int) -> Headers:
    """One image is taken at a time: there is no queue but Kafka."""
    return encoded({
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_type": "dev.tailrace.inference" + (".failed" if failed else ""),
        "ce_source": SOURCE,
        "ce_id": str(next(_ids)),
        "ce_time": now(),
        "ce_subject": subject(image),
        "tailrace_queue_micros": "0",
        "tailrace_compute_micros": str(compute_micros),
    })


def encoded(headers: dict[str, str]) -> Headers:
    return [(name, value.encode()) for name, value in headers.items()]
