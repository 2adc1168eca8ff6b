"""Apache Kafka: one KRaft node from the jars of Maven Central."""

from __future__ import annotations

import base64
import re
import subprocess
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.etree import ElementTree

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from tests.services import base
from tests.services.process import Process, Service
from watchkeeper.daemon.transport.kafka_client import connected
from watchkeeper.daemon.transport.settings import KafkaSettings

_FOLDER = Path(__file__).parent / "kafka"
_READY_SECONDS = 60.0
# A broker that lives for seconds gains nothing from the second compiler.
_JAVA = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
# The version of the plugin is fixed for the same reason as that of Kafka.
_COPY_JARS = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"


class Kafka(Service):
    """A broker that keeps what it has acknowledged, also over kill -9.

    `settings` are broker properties that add to or replace those of `server.properties`.
    """

    name = "kafka"
    survives_kill = True
    heeds_fetches = True

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self._jars = jars(base.may_download())
        super().__init__()
        self.port, self._controller_port = base.free_ports(2)
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._settings = dict(settings or {})

    def launch(self) -> Process:
        """Start the broker, formatting its data folder the first time."""
        properties = self.directory / "server.properties"
        if not properties.exists():
            properties.write_text(self._properties())
            self._format(properties)
        command = self._java("kafka.Kafka", properties)
        process = Process(command, self.directory / "kafka.log")
        process.wait_ready(lambda: answers(self.port, _serves), _READY_SECONDS)
        return process

    def _java(self, main: str, *arguments: str | Path) -> list[str | Path]:
        logging = f"-Dlog4j2.configurationFile=file:{_FOLDER / 'log4j2.properties'}"
        return ["java", *_JAVA, logging, "-cp", f"{self._jars}/*", main, *arguments]

    def _properties(self) -> str:
        here = {
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": f"PLAINTEXT://{self.bootstrap},"
            f"CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "log.dirs": str(self.directory / "data"),
        }
        lines = [f"{key}={value}" for key, value in (here | self._settings).items()]
        return (_FOLDER / "server.properties").read_text() + "\n".join(lines) + "\n"

    def _format(self, properties: Path) -> None:
        # A first byte of zero: an id that began with a dash would be read as an option.
        raw = b"\0" + uuid.uuid4().bytes[1:]
        cluster = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
        command = self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", properties)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"formatting the Kafka data folder:\n{done.stdout}{done.stderr}")


def answers(port: int, ask: Callable[[KafkaAdminClient], bool]) -> bool:
    """Say whether the broker on a local port answers a question with yes."""
    if not base.accepts(port):
        return False
    try:
        here = KafkaSettings(bootstrap_servers=[f"127.0.0.1:{port}"])
        client = connected(KafkaAdminClient, here)
    except KafkaError:
        return False
    try:
        return ask(client)
    except KafkaError:
        return False
    finally:
        client.close()


def _serves(client: KafkaAdminClient) -> bool:
    return any(not each["is_fenced"] for each in client.describe_cluster()["brokers"])


def jars(install: bool) -> Path:
    """Return the folder with the broker's jars, fetched by Maven if that is allowed."""
    check_java()
    version = _version()

    def fill(folder: Path) -> None:
        maven = base.find_executable("mvn", "maven")
        command: list[str | Path] = [maven, "-q", "-B", "-f", _FOLDER / "pom.xml", _COPY_JARS]
        base.install([*command, f"-DoutputDirectory={folder}"], f"Apache Kafka {version}")

    missing = f"Apache Kafka {version} is not in {base.cache_dir()}: run `make services`"
    return base.filled(f"kafka-{version}", fill, install, missing)


def check_java() -> None:
    """Raise Missing unless there is a Java that Kafka 4 runs on."""
    java = base.find_executable("java", "default-jre-headless")
    line = base.first_line([java, "-version"])
    number = re.search(r'version "(\d+)', line)
    if number is None or int(number[1]) < 17:
        raise base.Missing(f"Kafka needs Java 17 or newer, found: {line}")


def version(install: bool) -> str:
    """Return the version of Kafka that would be started."""
    jars(install)
    return _version()


def _version() -> str:
    found = ElementTree.parse(_FOLDER / "pom.xml").findtext(".//{*}kafka.version")
    if not found:
        raise ValueError("pom.xml names no kafka.version")
    return found


COMPONENT = base.Component("kafka", "Apache Kafka, jars by Maven, java -Xmx512m", version)
