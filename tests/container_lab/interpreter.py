"""Pythons on this machine, and the one among them that the template ships."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from cosmic_local.template.template import read

ROOT = Path(__file__).parents[2]
SHIPPED: str = read(ROOT / "template.yaml")["Parameters"]["PythonRuntime"]["Default"].removeprefix(
    "python"
)
ASKED = """
import sys, sysconfig
print(*sys.version_info[:2], sep=".")
print(sysconfig.get_path("stdlib"))
"""


@dataclass(frozen=True)
class Interpreter:
    """A Python.

    Attributes:
        program: What is started.
        version: Of the language, as `3.13`.
        stdlib: Its standard library.
    """

    program: Path
    version: str
    stdlib: Path


def own() -> Interpreter:
    """The Python that runs the tests."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return Interpreter(Path(sys.executable), version, Path(sysconfig.get_path("stdlib")))


def shipped() -> Interpreter | None:
    """The Python that the template ships; None if it is neither on the path nor pyenv's."""
    name = f"python{SHIPPED}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = [Path(found)] if (found := shutil.which(name)) else []
    for program in [*on_path, *sorted(pyenv.glob(f"{SHIPPED}.*/bin/{name}"))]:
        done = subprocess.run([program, "-c", ASKED], capture_output=True, text=True, check=False)
        # pyenv's shims are there for versions that are not chosen, and fail.
        if done.returncode == 0:
            version, stdlib = done.stdout.splitlines()
            assert version == SHIPPED, f"{program} is Python {version}"
            return Interpreter(program, version, Path(stdlib))
    return None
