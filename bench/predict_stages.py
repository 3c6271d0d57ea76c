"""`python -m bench.predict_stages`: where the processor's time of one `cosmic predict` goes.

A stage has the time of all threads and processes while it lasts, so what goes on beside it counts
in it. Modules find bytecode only where it has been written: the second of two runs counts.
"""

from __future__ import annotations

import argparse
import math
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

STAGES = {"ready_partitions": "packing", "predict_shards": "predicting", "finish": "results"}
OBJECTS = 20_000


def main() -> int:
    """Make a file and a model, predict, print the table."""
    parser = argparse.ArgumentParser(prog="bench.predict_stages", description=__doc__)
    parser.add_argument("--objects", type=int, default=OBJECTS)
    parser.add_argument("--preset", default="tiny")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    with TemporaryDirectory() as scratch:
        file, model = Path(scratch) / "objects.fits", Path(scratch) / "m.safetensors"
        _make(file, options.objects, options.preset)
        table = _run(file, model, Path(scratch) / "out", options.threads)
    print("| stage | processor s |\n|---|---|")
    for stage, seconds in table.items():
        print(f"| {stage} | {seconds:.2f} |")
    return 0


def _make(file: Path, objects: int, preset: str) -> None:
    """Inputs, by other processes: what they import is not to be here yet."""
    from bench.predict import _apart, write_model, write_objects

    _apart(write_objects, file, objects)
    _apart(write_model, file.parent, preset)


def _run(file: Path, model: Path, out: Path, threads: int) -> dict[str, float]:
    began, table = _busy_s(), dict.fromkeys(("imports", *STAGES.values()), 0.0)
    import cosmic.workstation.predict as predicting

    table["imports"] = _busy_s() - began
    for name, stage in STAGES.items():
        setattr(predicting, name, _timed(getattr(predicting, name), stage, table))
    predicting.predict(file, out, model=model, threads=threads)
    return {**table, "the whole": _busy_s() - began}


def _timed(call: Callable[..., Any], stage: str, table: dict[str, float]) -> Callable[..., Any]:
    def timed(*given: Any, **named: Any) -> Any:
        began = _busy_s()
        made = call(*given, **named)
        table[stage] += _busy_s() - began
        return made

    return timed


def _busy_s() -> float:
    """Processor's time of this process, and of those that it made and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return math.fsum(each.ru_utime + each.ru_stime for each in used)


if __name__ == "__main__":
    sys.exit(main())
