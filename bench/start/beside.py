"""A cold rank's way to its first redshifts, here and at an earlier commit, side by side.

Both trees have the same interpreter, packages, partition, model and server, and start in turn,
round by round. What counts is the median of each. The packages' bytecode is there, as pip leaves it
in the image. A commit whose image has no bytecode of its own modules has none here: on Lambda,
whose file system can't be written, each cold start compiles them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.earlier import ROOT, checked_out

CHILD = ROOT / "bench/start/first.py"
COLUMNS = ("model", "commit", "CPU s", "of base", "wall s", "of base", "peak MiB")
MEASURED = ("cpu_s", "age_s", "peak_mib")
LONGEST_S = 300
FORBIDS_BYTECODE = "PYTHONDONTWRITEBYTECODE"
Taken = dict[str, float]


class Tree(NamedTuple):
    """A commit's files, and an interpreter that imports Cosmic from them.

    Attributes:
        bytecode: A folder of its own for what the interpreter compiles: whether the packages lie
            compiled where they are installed, and still match, doesn't count then.
    """

    name: str
    folder: Path
    python: Path
    bytecode: Path

    @property
    def compiled(self) -> bool:
        """Whether the image of `infer` has the bytecode of what is copied into it."""
        return "compileall" in (self.folder / "functions/infer/Dockerfile").read_text()

    def compile(self, run: str) -> None:
        """Have all compiled that a rank imports, as far as it is compiled in the image."""
        self.child("rank", run, **{FORBIDS_BYTECODE: ""})  # empty: not forbidden
        if not self.compiled:
            own = self.bytecode / self.folder.relative_to("/")
            shutil.rmtree(own)

    def child(self, *words: object, **environment: str) -> str:
        """What `first.py` prints last in this tree."""
        with TemporaryDirectory() as scratch:  # its own: a rank that just ends leaves its files
            own = {
                "PYTHONPATH": str(self.folder),
                "PYTHONPYCACHEPREFIX": str(self.bytecode),
                FORBIDS_BYTECODE: "1",
                "TMPDIR": scratch,
            }
            done = subprocess.run(
                [str(self.python), str(CHILD), *map(str, words)],
                cwd=self.folder,
                env=os.environ | own | environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=LONGEST_S,
            )
        if done.returncode:
            raise SystemExit(f"{self.folder}: {CHILD.name} failed:\n{done.stderr[-2000:]}")
        return done.stdout.splitlines()[-1]


def print_beside(
    base: str, rounds: int, key: str, model: Path, batch_size: int, scratch: Path
) -> None:
    """Measure both and print the table.

    Args:
        base: The earlier commit.
        rounds: Processes of each case and commit.
        key: Of the partition that the server has.
        model: The checkpoint, which the server has under the same name.
        batch_size: Rows of the first batch.
        scratch: An empty folder's parent, for the image with the model in it.
    """
    images = {"downloaded": scratch / "without", "in the image": with_model(scratch, model)}
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    with checked_out(base) as (folder, python):
        trees = (
            Tree(base, folder, python, scratch / "bytecode-of-base"),
            Tree("here", ROOT, Path(sys.executable), scratch / "bytecode"),
        )
        runs = {tree: tree.child("plan", key, model.name, batch_size) for tree in trees}
        for tree in trees:
            tree.compile(runs[tree])
        for case, image in images.items():
            found: dict[Tree, list[Taken]] = {tree: [] for tree in trees}
            for _ in range(rounds):
                for tree in trees:
                    output = tree.child("rank", runs[tree], LAMBDA_TASK_ROOT=str(image))
                    found[tree].append(json.loads(output))
            show(case, {tree.name: medians(found[tree]) for tree in trees})


def with_model(scratch: Path, model: Path) -> Path:
    """A function's folder as the container image has it: with a checkpoint in `model/`."""
    image = scratch / "with"
    (image / "model").mkdir(parents=True)
    shutil.copyfile(model, image / "model" / f"{model.name}.safetensors")
    return image


def medians(rounds: list[Taken]) -> Taken:
    """Of each number."""
    return {name: median(one[name] for one in rounds) for name in MEASURED}


def show(case: str, found: dict[str, Taken]) -> None:
    """The rows of a case; the first is what the others are compared with."""
    base = next(iter(found.values()))
    for name, one in found.items():
        cpu, age = one["cpu_s"] / base["cpu_s"], one["age_s"] / base["age_s"]
        cells = (case, name, f"{one['cpu_s']:.2f}", f"{cpu:.2f}", f"{one['age_s']:.2f}")
        print(f"| {' | '.join(cells)} | {age:.2f} | {one['peak_mib']:.0f} |", flush=True)
