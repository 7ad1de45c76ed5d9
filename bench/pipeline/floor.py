"""What no pipeline through Kafka can be faster than: two hops, and one inference."""

import json
import subprocess
from pathlib import Path

from loopback.processes import Failed, Processes, eventually, guarded
from topologies import ROOT, WEIGHTS

RATE = 20
TOPICS = ["floor-there", "floor-back"]
SAMPLE = ROOT / "models/sample"


def printed(command: list[str]) -> str:
    ended = subprocess.run(guarded(command), capture_output=True, text=True, start_new_session=True)
    if ended.returncode != 0:
        raise Failed(f"{Path(command[0]).name} ended with the code {ended.returncode}: {ended.stderr[-1000:]}")
    return ended.stdout


def two_hops(program: Path, kafka: str, folder: Path, warmup: int, duration: int) -> dict:
    """Percentiles in ms: one process sends 2.3 KB and receives it back, another one sends it on."""
    there, back = TOPICS
    common = [str(program), "--bootstrap-servers", kafka]
    with Processes(folder) as processes:
        processes.start("two-hops", [*common, "forward", there, back])
        log = folder / "two-hops.log"
        is_ready = lambda: processes.check() is None and "ready" in log.read_text()
        eventually("the second of two hops is ready", 30, is_ready)
        times = [f"--rate={RATE}", f"--warmup={warmup}", f"--duration={duration}"]
        micros = json.loads(printed([*common, "send", there, back, *times]))
    return {percentile: micros[percentile] / 1000 for percentile in ("p50", "p90", "p95")}


def one_image(program: Path) -> dict:
    """Milliseconds of one PNG, decoded and classified by one thread: at the pace of the load, and without a pause."""
    micros = json.loads(printed([str(program), str(WEIGHTS), str(SAMPLE)]))
    return {"paced": micros["pacedMicros"] / 1000, "withoutPause": micros["withoutPauseMicros"] / 1000}


def threads(program: Path) -> list[dict]:
    """Both designs of the classifying threads."""
    return [json.loads(line) for line in printed([str(program), str(WEIGHTS)]).splitlines()]
