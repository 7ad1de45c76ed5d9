"""Processes on loopback that end with this program, however it ends, and the Kafka and the database among them."""

import logging
import os
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

CLUSTER_ID = "dGFpbHJhY2UtYmVuY2gtMQ"
HEAP = "512m"
# As Kafka's own start script has it.
JVM = ["-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35"]


class Failed(Exception):
    """One sentence: what went wrong."""


def free_port() -> int:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def guarded(command: list[str]) -> list[str]:
    """The kernel kills it when this program dies; a Ctrl-C of the terminal reaches this program alone."""
    return ["setpriv", "--pdeathsig", "KILL", *command]


def eventually(what: str, seconds: float, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise Failed(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.1)


class Processes:
    """Started one after the other, stopped in the reverse order at the end of a `with` block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stack = ExitStack()
        self.running: dict[str, subprocess.Popen] = {}

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def start(self, name: str, command: list[str], environment: Mapping[str, str] | None = None) -> None:
        """What it writes goes to the file `name`.log."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                guarded(command),
                env=os.environ | (environment or {}),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.running[name] = process
        self.stack.callback(self.stop, name)

    def stop(self, name: str) -> None:
        process = self.running.pop(name)
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            logging.warning("%s does not end: killed", name)
            process.kill()
            process.wait()

    def check(self) -> None:
        """Raises `Failed` if one has ended by itself."""
        for name, process in self.running.items():
            if process.poll() is not None:
                tail = (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]
                raise Failed(f"{name} ended with the code {process.returncode}: {tail}")

    def start_listening(
        self, name: str, port: int, command: list[str], environment: Mapping[str, str] | None = None
    ) -> None:
        """Starts it and waits until it listens on the port."""
        self.start(name, command, environment)
        eventually(f"{name} listens on port {port}", 120, lambda: self.check() is None and listens(port))


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def start_kafka(processes: Processes, cache: Path) -> str:
    """A broker in KRaft mode with the settings of a Pipeline's; its address."""
    port, controller, folder = free_port(), free_port(), processes.folder
    properties = folder / "server.properties"
    properties.write_text(f"""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
log.dirs={folder}/kafka
auto.create.topics.enable=false
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
group.consumer.min.heartbeat.interval.ms=1000
group.consumer.heartbeat.interval.ms=1000
group.consumer.min.session.timeout.ms=10000
group.consumer.session.timeout.ms=10000
log.segment.delete.delay.ms=1000
""")
    java = [str(cache / "kafka/jre/bin/java"), f"-Xms{HEAP}", f"-Xmx{HEAP}", *JVM, "-cp", f"{cache}/kafka/libs/*"]
    format_storage = ["kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config", str(properties)]
    subprocess.run([*java, *format_storage], check=True, capture_output=True)
    processes.start_listening("kafka", port, [*java, "kafka.Kafka", str(properties)])
    return f"127.0.0.1:{port}"


def start_database(processes: Processes, cache: Path) -> str:
    """FerretDB on SQLite; its connection string."""
    port, folder = free_port(), processes.folder / "ferretdb"
    folder.mkdir()
    arguments = [f"-listen-addr=127.0.0.1:{port}", f"-sqlite-url=file:{folder}/", "-log-level=warn"]
    processes.start_listening("ferretdb", port, [str(cache / "bin/ferretdb"), *arguments])
    return f"mongodb://127.0.0.1:{port}/"
