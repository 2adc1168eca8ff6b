"""Prometheus and promtool from the system's package."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from tests.services import base, rest
from tests.services.process import Process, Service

_PACKAGE = "prometheus"
_READY_SECONDS = 30.0


class Sample(msgspec.Struct, frozen=True):
    """One series of an answer: its labels, and (time, value as text)."""

    metric: dict[str, str]
    value: tuple[float, str]


class _Vector(msgspec.Struct, frozen=True):
    result: list[Sample]


class _Answer(msgspec.Struct, frozen=True):
    data: _Vector


class Prometheus(Service):
    """A server that scrapes `targets` ("host:port") and judges `rules` (files) every second.

    It takes about six seconds to the first scrape: Prometheus waits five for its targets.
    """

    name = "prometheus"

    def __init__(self, targets: Sequence[str], rules: Sequence[Path] = ()) -> None:
        self._program = base.find_executable("prometheus", _PACKAGE)
        super().__init__()
        (port,) = base.free_ports(1)
        self._address = f"127.0.0.1:{port}"
        self.url = f"http://{self._address}"
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(rule.resolve()) for rule in rules],
            "scrape_configs": [
                {"job_name": "watchkeeper", "static_configs": [{"targets": list(targets)}]}
            ],
        }
        # JSON is YAML.
        (self.directory / "prometheus.yml").write_bytes(msgspec.json.encode(config))

    def launch(self) -> Process:
        """Start the server."""
        command = [
            str(self._program),
            f"--config.file={self.directory / 'prometheus.yml'}",
            f"--storage.tsdb.path={self.directory / 'data'}",
            f"--web.listen-address={self._address}",
            "--log.level=warn",
        ]
        process = Process(command, self.directory / "prometheus.log")
        process.wait_ready(lambda: rest.healthy(f"{self.url}/-/ready"), _READY_SECONDS)
        return process

    def query(self, expression: str) -> list[Sample]:
        """Evaluate an expression that yields an instant vector, now."""
        asked = urlencode({"query": expression})
        return rest.request("GET", f"{self.url}/api/v1/query?{asked}", _Answer).data.result


def promtool(*arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool to its end, whatever its exit code."""
    command = [base.find_executable("promtool", _PACKAGE), *arguments]
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=60, check=False
    )


def promtool_check_metrics(text: str) -> list[str]:
    """Return what promtool finds wrong with an exposition, one line a finding."""
    done = promtool("check", "metrics", stdin=text)
    findings = (done.stdout + done.stderr).splitlines()
    if done.returncode and not findings:
        return [f"promtool ended with {done.returncode}"]
    return findings


def version(install: bool) -> str:
    """Return the version of the server that would be started."""
    del install  # Debian packages are not ours to install.
    base.find_executable("promtool", _PACKAGE)
    program = base.find_executable("prometheus", _PACKAGE)
    found = re.search(r"version ([\d.]+)", base.first_line([program, "--version"]))
    return found[1] if found else "unknown"


COMPONENT = base.Component("prometheus", "Debian's prometheus and promtool", version)
