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
from typing import Any, NamedTuple

from bench.earlier import ROOT, checked_out

CHILD = ROOT / "bench/start/first.py"
BESIDE = ("of base", "of base, downloading")
COLUMNS = ("model", "commit", "CPU s", *BESIDE, "wall s", *BESIDE, "peak MiB")
LONGEST_S = 300
PRECOMPILES = "cosmic.model.precompile"
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
        return "compileall" in self._dockerfile

    def image(self, place: Path, model: Path) -> Path:
        """The function's folder as its image has it with a checkpoint in `model/`."""
        (place / "model").mkdir(parents=True)
        shutil.copyfile(model, place / "model" / f"{model.name}.safetensors")
        if PRECOMPILES in self._dockerfile:
            environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
            command = [str(self.python), "-m", PRECOMPILES, str(place / "model")]
            subprocess.run(command, cwd=self.folder, env=environment, check=True)
        return place

    @property
    def _dockerfile(self) -> str:
        return (self.folder / "functions/infer/Dockerfile").read_text()

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
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    with checked_out(base) as (folder, python):
        trees = (
            Tree(base, folder, python, scratch / "bytecode-of-base"),
            Tree("here", ROOT, Path(sys.executable), scratch / "bytecode"),
        )
        runs = {tree: tree.child("plan", key, model.name, batch_size) for tree in trees}
        for tree in trees:
            tree.compile(runs[tree])
        with_model = [tree.image(scratch / f"image-of-{tree.name}", model) for tree in trees]
        images = {"downloaded": [scratch / "none"] * len(trees), "in the image": with_model}
        downloaded: Taken = {}
        by_stage: dict[str, Taken] = {}
        for case, places in images.items():
            found: dict[Tree, list[dict[str, Any]]] = {tree: [] for tree in trees}
            for _ in range(rounds):
                for tree, image in zip(trees, places, strict=True):
                    output = tree.child("rank", runs[tree], LAMBDA_TASK_ROOT=str(image))
                    found[tree].append(json.loads(output))
            taken = {tree.name: medians(found[tree]) for tree in trees}
            for tree in trees:
                by_stage[f"{case}, {tree.name}"] = medians([one["stages"] for one in found[tree]])
            downloaded = downloaded or taken[base]
            show(case, taken, downloaded)
    show_stages(by_stage)


def medians(rounds: list[dict[str, Any]]) -> Taken:
    """Of each number."""
    numbers = [name for name, value in rounds[0].items() if not isinstance(value, dict)]
    return {name: median(one[name] for one in rounds) for name in numbers}


def show(case: str, found: dict[str, Taken], downloaded: Taken) -> None:
    """The rows of a case, beside its first, and beside the base that downloads its model."""
    base = next(iter(found.values()))
    for name, one in found.items():
        cells = [case, name]
        for what in ("cpu_s", "age_s"):
            ratios = (one[what] / other[what] for other in (base, downloaded))
            cells += [f"{one[what]:.2f}", *(f"{ratio:.2f}" for ratio in ratios)]
        print(f"| {' | '.join(cells)} | {one['peak_mib']:.0f} |", flush=True)


def show_stages(cases: dict[str, Taken]) -> None:
    """What each stage took of the processor, case by case."""
    print(f"\n| CPU ms | {' | '.join(cases)} |\n|{'---|' * (len(cases) + 1)}")
    for stage in next(iter(cases.values())):
        cells = " | ".join(f"{1e3 * taken[stage]:.0f}" for taken in cases.values())
        print(f"| {stage} | {cells} |")
