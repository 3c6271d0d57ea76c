"""`python -m bench.predict`: `cosmic predict` beside a plain loop, from a table to redshifts.

The loop is what one would write: cutouts by astropy, the published model in torch in batches of
512, redshifts into a FITS table. Both are whole processes, in turn; `--no-page` leaves out the page
and the plots, which the loop does not make either. All find their modules compiled to bytecode, as
pip leaves those that it installs: the first run of each, of a few objects, is not counted.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np

from cosmic.data.synth.dataset import Sample, rows

PROGRAM = "from cosmic_cli.main import run; run()"
LOOP, WITH_PAGE, BARE = "plain loop", "cosmic predict", "cosmic predict --no-page"
LOOK_S = 0.05
DRAWN = 1000
FEW = 256
MIB = 1 << 20


class Run(NamedTuple):
    """What a process and its children needed.

    Attributes:
        peak_mib: Most memory of all at once, pages of files that could be dropped left out.
        resident_mib: The same with them.
    """

    wall_s: float
    processor_s: float
    peak_mib: float
    resident_mib: float


def main() -> int:
    """Make a file, run both, print the table."""
    parser = argparse.ArgumentParser(prog="bench.predict", description=__doc__)
    parser.add_argument("--objects", type=int, default=20_000)
    parser.add_argument("--presets", nargs="+", default=["tiny", "full"])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3, help="the median counts")
    parser.add_argument("--loop", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.loop:
        file, model, out, threads = options.loop
        plain_loop(Path(file), Path(model), Path(out), int(threads))
        return 0
    print(
        "| model | threads | | wall s | ratio | processor s | ratio | objects/s | peak MiB | ratio "
        "| with pages of files MiB |\n|---|---|---|---|---|---|---|---|---|---|---|"
    )
    with TemporaryDirectory() as scratch:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = f"{scratch}/bytecode"
        file, few = Path(scratch) / "objects.fits", Path(scratch) / "few.fits"
        _apart(write_objects, file, options.objects)
        _apart(write_objects, few, FEW)
        for preset in options.presets:
            _apart(write_model, Path(scratch), preset)
            measured(few, Path(scratch), 1, 1)
            for threads in options.threads:
                found = measured(file, Path(scratch), threads, options.rounds)
                show(preset, threads, options.objects, found)
    return 0


def plain_loop(file: Path, model: Path, out: Path, threads: int) -> None:
    """The redshifts of a table's cutouts, as one would compute them with astropy and torch."""
    import torch
    from astropy.io import fits
    from astropy.table import Table

    from bench.baseline import BATCH, PlainLoop

    loop, parts = PlainLoop(model, threads), []
    with fits.open(file, memmap=True) as hdus:
        rows = hdus[1].data
        ids = np.array(rows["object_id"])
        for at in range(0, len(rows), BATCH):
            batch = rows[at : at + BATCH]
            image, mag = (torch.from_numpy(batch[n].astype(np.float32)) for n in ("image", "mag"))
            parts.append(loop.run(image, mag).numpy())
    Table({"object_id": ids, "z_phot": np.concatenate(parts)}).write(out)


def write_objects(file: Path, objects: int) -> None:
    """A FITS table by astropy; the same galaxies again and again, with ids of their own."""
    from astropy.table import Table

    few = rows(Sample("legacy", DRAWN), 0, DRAWN)
    repeats = -(-objects // DRAWN)
    table = Table({name: np.concatenate([c] * repeats)[:objects] for name, c in few.items()})
    table["object_id"] = np.arange(objects)
    table.write(file)


def write_model(folder: Path, preset: str) -> None:
    """A checkpoint with random weights, `m.safetensors`."""
    from bench.engine.inputs import write_inputs

    write_inputs(folder, preset, 64)


def measured(file: Path, scratch: Path, threads: int, rounds: int) -> dict[str, list[Run]]:
    """Each of the processes, in turn; what they say of the redshifts is compared."""
    model, out = scratch / "m.safetensors", scratch / "out"
    predict = ["-c", PROGRAM, "predict", file, "--out", out, "--model", model]
    commands = {
        LOOP: ["-m", "bench.predict", "--loop", file, model, scratch / "z.fits", threads],
        WITH_PAGE: [*predict, "--threads", threads],
        BARE: [*predict, "--threads", threads, "--no-page"],
    }
    found: dict[str, list[Run]] = {name: [] for name in commands}
    for number in range(rounds):
        for name in list(commands)[:: 1 if number % 2 else -1]:
            found[name].append(_run([str(word) for word in commands[name]]))
            if name != LOOP:
                (out / "catalogue.fits").replace(scratch / "catalogue.fits")
                shutil.rmtree(out)
            elif (scratch / "catalogue.fits").exists():
                _compare(scratch / "z.fits", scratch / "catalogue.fits")
            if name == LOOP:
                (scratch / "z.fits").unlink()
    return found


def _compare(loop: Path, catalogue: Path) -> None:
    """Both have the same objects, in the same order, and the same redshifts."""
    from astropy.table import Table

    one, other = Table.read(loop, hdu=1), Table.read(catalogue, hdu=1)
    np.testing.assert_array_equal(one["object_id"], other["object_id"])
    assert np.max(np.abs(one["z_phot"] - other["z_phot"]) / (1 + np.abs(one["z_phot"]))) < 1e-4


def _run(words: Sequence[str]) -> Run:
    """One process, its children among what is measured."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(
        [sys.executable, *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    memory = _Memory(process.pid)
    _, said = process.communicate()
    wall_s = time.monotonic() - began
    memory.stop()
    assert process.returncode == 0, said.decode()[-2000:]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Run(wall_s, processor_s, memory.peak / MIB, memory.resident / MIB)


class _Memory:
    """Looks again and again at what a process and its children hold."""

    def __init__(self, pid: int) -> None:
        self.peak = self.resident = 0
        self._pid, self._ended = pid, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(LOOK_S):
            held = [_held(pid) for pid in _family(self._pid)]
            self.peak = max(self.peak, sum(own for own, _ in held))
            self.resident = max(self.resident, sum(all_of_it for _, all_of_it in held))


def _family(pid: int) -> list[int]:
    """A process and those below it; what has ended meanwhile is left out."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(word) for t in tasks for word in (t / "children").read_text().split()]
    except OSError:
        children = []
    return [pid, *(below for child in children for below in _family(child))]


def _held(pid: int) -> tuple[int, int]:
    """Bytes of a process that no file backs, and all that are resident (proc(5), status)."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0, 0
    lines = dict(line.partition(":")[::2] for line in text.splitlines())
    anonymous, shared, resident = (
        int(lines.get(name, "0 kB").split()[0]) << 10 for name in ("RssAnon", "RssShmem", "VmRSS")
    )
    return anonymous + shared, resident


def show(preset: str, threads: int, objects: int, found: dict[str, list[Run]]) -> None:
    """A row each: medians, of memory the greatest; ratios are to the loop."""
    loop_s = median(run.wall_s for run in found[LOOP])
    loop_mib = max(run.peak_mib for run in found[LOOP])
    loop_busy_s = median(run.processor_s for run in found[LOOP])
    for name, runs in found.items():
        wall_s, peak = median(run.wall_s for run in runs), max(run.peak_mib for run in runs)
        busy_s = median(run.processor_s for run in runs)
        print(
            f"| {preset} | {threads} | {name} | {wall_s:.1f} | {loop_s / wall_s:.2f} "
            f"| {busy_s:.1f} | {loop_busy_s / busy_s:.2f} | {objects / wall_s:,.0f} "
            f"| {peak:.0f} | {peak / loop_mib:.2f} | {max(run.resident_mib for run in runs):.0f} |",
            flush=True,
        )


def _apart(make: object, *arguments: object) -> None:
    """Call something in a process of its own: a process starts with the peak of its parent."""
    process = get_context("spawn").Process(target=make, args=arguments)  # type: ignore[arg-type]
    process.start()
    process.join()
    assert process.exitcode == 0, f"{make} failed"


if __name__ == "__main__":
    sys.exit(main())
