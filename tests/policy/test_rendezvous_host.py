"""What the rendezvous host runs, taken out of its template and run here."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import fmilib
from cosmic_local.template.template import read

from .conftest import EVERYTHING, ROOT, Deployed

RESOURCES: dict[str, Any] = read(ROOT / "infra/rendezvous-host/template.yaml")["Resources"]
USER_DATA: str = RESOURCES["Launch"]["Properties"]["LaunchTemplateData"]["UserData"]["Fn::Base64"][
    "Fn::Sub"
]
SECRET = "Az09" * 16  # as Secrets Manager makes it: 64 letters and digits
VALUES = {
    "AWS::Region": "eu-west-1",
    "AWS::StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/s/1",
    "Address.AllocationId": "eipalloc-1",
    "RendezvousLayer": "arn:aws:lambda:eu-west-1:123456789012:layer:l:1",
    "SecretArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:s",
    "Stack": "demo",
}
SCRIPT = re.sub(r"\$\{([^}]+)\}", lambda match: VALUES[match[1]], USER_DATA)


def script(name: str) -> str:
    """One of the files that the host writes at its start."""
    return textwrap.dedent(SCRIPT.split(f"<<'{name}'\n")[1].split(f"{name}\n")[0])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """`aws` and `systemctl` that write down how they were called; the secret is given out."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, answer in (("aws", f"echo {SECRET}"), ("systemctl", "true")):
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $@" >> {tmp_path}/calls\n{answer}\n')
        path.chmod(0o755)
    return folder


@pytest.fixture
def called(tmp_path: Path) -> Callable[[], list[str]]:
    """The calls that were written down."""
    return lambda: (tmp_path / "calls").read_text().splitlines()


def run_as(text: str, path: Path, tools: Path, port: int) -> subprocess.Popen[bytes]:
    text = text.replace("7600", str(port)).replace("0.0.0.0", "127.0.0.1")
    path.write_text(text.replace("/opt/rendezvous/python", str(ROOT / "layers/fmilib/src")))
    path.chmod(0o755)
    search = os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]])
    return subprocess.Popen([path], env={"PATH": search})


@pytest.fixture
def port(tmp_path: Path, tools: Path) -> Iterator[int]:
    """Port of a server that was started as the host starts it."""
    port = free_port()
    with run_as(script("SERVE"), tmp_path / "serve", tools, port) as process:
        try:
            _await_health(port)
            yield port
        finally:
            process.terminate()


def _await_health(port: int, timeout_s: float = 20.0) -> None:
    until = time.monotonic() + timeout_s
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < until, "the server does not answer"
            time.sleep(0.05)


def test_the_start_script_is_bash_and_all_of_it_is_substituted() -> None:
    done = subprocess.run(
        ["/bin/bash", "-n"], input=SCRIPT, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(SCRIPT.encode()) < 16 * 1024, "user data is at most 16 KiB"


STUBS = {
    "aws": 'case "$*" in *layer-version*) echo https://layer;; esac',
    "curl": 'case "$*" in *instance-id*) echo i-1;; *api/token*) echo token;; esac',
    "dd": 'touch "$(echo "$2" | cut -d= -f2)"',
    **dict.fromkeys(("mkswap", "swapon", "dnf", "unzip", "systemctl"), "true"),
}


def test_the_host_starts_in_this_order(tmp_path: Path) -> None:
    """The whole script, with what it calls played and what it writes put elsewhere."""
    tools, root, calls = tmp_path / "bin", tmp_path / "root", tmp_path / "calls"
    for folder in (tools, root / "usr/local/bin", root / "etc/systemd/system", root / "tmp"):
        folder.mkdir(parents=True)
    for name, answer in STUBS.items():
        (tools / name).write_text(f'#!/bin/sh\necho "{name} $@" >> {calls}\n{answer}\n')
        (tools / name).chmod(0o755)
    script = re.sub(r"(?<=[ =])/(swapfile|usr/local|etc|tmp)", rf"{root}/\1", SCRIPT)
    done = subprocess.run(
        ["/bin/bash"],
        input=script,
        env={"PATH": f"{tools}:{os.environ['PATH']}"},
        text=True,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = calls.read_text()
    steps = (
        "aws ec2 associate-address --instance-id i-1 --allocation-id eipalloc-1",
        "mkswap",
        "swapon",
        "dnf install",
        "curl -fsS --retry 5 --output",
        "unzip -q",
        "systemctl enable --now rendezvous.service rendezvous-beat.timer",
        "http://127.0.0.1:7600/health",
        "aws cloudformation signal-resource",
    )
    assert sorted(steps, key=told.index) == list(steps)
    assert (root / "swapfile").stat().st_mode & 0o777 == 0o600
    assert os.access(root / "usr/local/bin/rendezvous", os.X_OK)
    assert (root / "etc/systemd/system/rendezvous.service").is_file()


def test_the_host_lies_in_the_zone_that_is_asked_for(deployed: Deployed) -> None:
    asked = deployed(**EVERYTHING).resolver.properties("Rendezvous")["Parameters"]
    assert asked["Zone"] == EVERYTHING["RendezvousZone"]
    zone = RESOURCES["Subnet"]["Properties"]["AvailabilityZone"]
    assert zone == {"Fn::If": ["HasZone", {"Ref": "Zone"}, {"Ref": "AWS::NoValue"}]}


def test_ranks_with_the_functions_secret_meet_at_the_host(
    port: int, called: Callable[[], list[str]]
) -> None:
    def rank(number: int) -> int:
        with fmilib.connect(
            rank=number,
            size=2,
            job="run-1",
            secret=fmilib.derive_secret(SECRET.encode(), "run-1"),
            rendezvous=f"127.0.0.1:{port}",
            timeout_s=20,
        ) as comm:
            return int(comm.allreduce(number + 1))

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(rank, range(2))) == [3, 3]
    assert called()[0].startswith(f"aws secretsmanager get-secret-value --secret-id {SECRET_ARN}")


SECRET_ARN = VALUES["SecretArn"]
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


@needs_curl
def test_a_server_that_is_well_is_counted(
    port: int, tmp_path: Path, tools: Path, called: Callable[[], list[str]]
) -> None:
    assert run_as(script("BEAT"), tmp_path / "beat", tools, port).wait(20) == 0
    assert called()[-1].startswith("aws cloudwatch put-metric-data --namespace Cosmic/demo")


@needs_curl
def test_a_server_that_does_not_answer_is_restarted(
    tmp_path: Path, tools: Path, called: Callable[[], list[str]]
) -> None:
    assert run_as(script("BEAT"), tmp_path / "beat", tools, free_port()).wait(20) == 0
    assert called() == ["systemctl restart rendezvous"]


def test_one_port_is_open() -> None:
    (rule,) = RESOURCES["OnePort"]["Properties"]["SecurityGroupIngress"]
    assert (rule["FromPort"], rule["ToPort"], rule["IpProtocol"]) == (7600, 7600, "tcp")


def test_the_host_may_do_what_it_does_and_no_more() -> None:
    (policy,) = RESOURCES["HostRole"]["Properties"]["Policies"]
    statements = {s["Action"]: s for s in policy["PolicyDocument"]["Statement"]}
    commands = {
        "secretsmanager:GetSecretValue": "aws secretsmanager get-secret-value",
        "lambda:GetLayerVersion": "aws lambda get-layer-version-by-arn",
        "ec2:AssociateAddress": "aws ec2 associate-address",
        "cloudformation:SignalResource": "aws cloudformation signal-resource",
        "cloudwatch:PutMetricData": "aws cloudwatch put-metric-data",
    }
    assert set(statements) == set(commands)
    assert all(command in SCRIPT for command in commands.values())
    everywhere = {action for action, s in statements.items() if s["Resource"] == "*"}
    # CloudWatch's metrics have no names to grant; the condition holds it to our namespace.
    assert everywhere == {"cloudwatch:PutMetricData"}
    assert "cloudwatch:namespace" in str(statements["cloudwatch:PutMetricData"]["Condition"])
