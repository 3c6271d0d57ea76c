"""Wheels for builds without a network: what is pinned, for this Python and the host's."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOR_THE_HOST = (
    *("--platform", "manylinux_2_28_aarch64", "--python-version", "3.11"),
    *("--implementation", "cp"),
)


def fetch_wheels(folder: Path) -> None:
    """Download every pinned wheel of the image, the layers and the rendezvous host."""
    for pinned, platform in (
        ("functions/infer", ()),
        ("layers/dependencies", ()),
        ("layers/figures", ("--no-deps",)),
        ("layers/fmilib", FOR_THE_HOST),
    ):
        words = ["--requirement", ROOT / pinned / "requirements.txt", "--dest", folder, *platform]
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "download", "--quiet"),
                *("--only-binary=:all:", "--require-hashes", *words),
            ],
            check=True,
            capture_output=True,
        )
