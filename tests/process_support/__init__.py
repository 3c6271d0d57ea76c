"""Processes of tests: with a bare environment, and waiting for what they do."""

from __future__ import annotations

import os
import subprocess
import sys


def run_bare(code: str, *arguments: object) -> None:
    """Run code in a process of its own, with nothing of this process's environment but its PATH.

    numpy multiplies the weights that are folded with the BLAS kernel that OPENBLAS_CORETYPE
    names, where that is set, and another kernel rounds otherwise: redshifts then differ from
    those of a function in their last bit.

    Raises:
        subprocess.CalledProcessError: the code failed.
    """
    command = [sys.executable, "-c", code, *map(str, arguments)]
    subprocess.run(command, check=True, env={"PATH": os.environ["PATH"]})
