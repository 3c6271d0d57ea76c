"""The processes of one library at one size; they block in a read while others are measured."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from bench.fmi.cases import Case

START_S = 60.0
ROOT = Path(__file__).parents[2]
MPIEXEC = (
    "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "--mca", "pml", "ob1",
    "--mca", "btl", "tcp,self", "--mca", "btl_tcp_if_include", "lo", "--mca",
    "mpi_yield_when_idle", "1",
)  # fmt: skip


class Crew:
    """Ranks that measure when told to."""

    def __init__(self, lines: list[IO[str]]) -> None:
        self._lines = lines

    def run(self, case: Case, repeats: int) -> list[float]:
        """Measure one block; return seconds for each repeat, first start to last end."""
        for line in self._lines:
            line.write(json.dumps({"case": case.name, "repeats": repeats}) + "\n")
            line.flush()
        found = [json.loads(line.readline()) for line in self._lines]
        spans = [
            max(end for _, end in one) - min(start for start, _ in one)
            for one in zip(*found, strict=True)
        ]
        return [span / repeats for span in spans] if case.back_to_back else spans


@contextlib.contextmanager
def crew(name: str, size: int, variables: dict[str, str], python: str) -> Iterator[Crew]:
    """Start the ranks of a library, and end them with the context."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as door:
        path = str(Path(folder) / "door")
        door.bind(path)
        door.listen(size)
        door.settimeout(START_S)
        processes = _start(name, size, path, variables, python)
        with contextlib.ExitStack() as stack:
            lines = {}
            for _ in range(size):
                sock = stack.enter_context(door.accept()[0])
                line = stack.enter_context(sock.makefile("rw"))
                lines[int(line.readline())] = line
            yield Crew([lines[rank] for rank in range(size)])
        for process in processes:
            process.wait(START_S)


def _start(
    name: str, size: int, path: str, variables: dict[str, str], python: str
) -> list[subprocess.Popen[bytes]]:
    common = {
        **os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), os.environ.get("PYTHONPATH", ""))),
        "OMP_NUM_THREADS": "1", "BENCH_SIZE": str(size), **variables,
    }  # fmt: skip
    command = [python, "-m", "bench.fmi.rank", name, path]
    if name == "Open MPI":
        return [subprocess.Popen([mpiexec(), *MPIEXEC, "-n", str(size), *command], env=common)]
    return [
        subprocess.Popen(command, env={**common, "BENCH_RANK": str(rank), "FMI_RANK": str(rank)})
        for rank in range(size)
    ]


def mpiexec() -> str:
    """Return where mpiexec is; empty if it isn't installed."""
    return shutil.which("mpiexec") or ""


@contextlib.contextmanager
def rendezvous(python: str = sys.executable) -> Iterator[dict[str, str]]:
    """Run a rendezvous; yields the variables with which ranks find it, for any one job."""
    import fmilib

    secret, job = secrets.token_bytes(32), f"bench-{os.getpid()}"
    with tempfile.TemporaryDirectory() as folder:
        port_file = Path(folder) / "port"
        process = subprocess.Popen(
            [python, "-m", "fmilib.rendezvous", "--port", "0", "--port-file", port_file],
            env={**os.environ, "FMI_DEPLOYMENT_SECRET": secret.hex()},
        )
        try:
            while not port_file.exists():
                if process.poll() is not None:
                    raise RuntimeError("the rendezvous didn't start")
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.02)
            yield {
                "FMI_JOB": job,
                "FMI_SECRET": fmilib.derive_secret(secret, job).hex(),
                "FMI_RENDEZVOUS": f"127.0.0.1:{int(port_file.read_text())}",
            }
        finally:
            process.terminate()
            process.wait(START_S)
