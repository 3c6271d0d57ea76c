"""Wheels for builds without a network: what is pinned, for the image's Python and the host's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from container_lab.base import RUNTIME_CLIENT
from container_lab.interpreter import Interpreter

ROOT = Path(__file__).parents[2]
FOR_THE_HOST = (
    *("--platform", "manylinux_2_28_aarch64", "--python-version", "3.11"),
    *("--implementation", "cp"),
)
PLATFORMS = tuple(
    word
    for glibc in ("2_34", "2_28", "2_17")
    for word in ("--platform", f"manylinux_{glibc}_x86_64")
)


def fetch_wheels(folder: Path, python: Interpreter) -> None:
    """Download every pinned wheel of the image, the layers and the rendezvous host.

    The runtime client's come too, since AWS's image has it.
    """
    there = (*PLATFORMS, "--python-version", python.version, "--implementation", "cp")
    for pinned, platform in (
        ("functions/infer", there),
        ("layers/dependencies", there),
        ("layers/figures", ("--no-deps", *there)),
        ("layers/fmilib", FOR_THE_HOST),
    ):
        requirements = ROOT / pinned / "requirements.txt"
        _download(folder, ["--require-hashes", "--requirement", requirements, *platform])
    _download(folder, ["--no-deps", *there, *(f"{n}=={version(n)}" for n in RUNTIME_CLIENT)])


def _download(folder: Path, words: Iterable[str | Path]) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:"]
    subprocess.run([*command, "--dest", folder, *words], check=True, capture_output=True)
