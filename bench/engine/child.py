"""One variant in a fresh process; prints what it measured as one line of JSON."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Z = NDArray[np.floating[Any]]
FLOPS_AN_IMAGE = 221.5e6  # of `full`: multiplications and additions, counted apart
SIDE = 2048


def main() -> None:
    """Measure the variant that the arguments name."""
    folder, variant, threads = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    if variant == "peak":
        print(json.dumps({"flops": peak_flops(threads)}))
        return
    image, mag = (np.load(folder / f"{name}.npy") for name in ("image", "mag"))
    from cosmic.errors import InputError

    try:
        make = MAKERS.get(variant, _engine)
        run = make(folder, variant, threads)
    except InputError as error:
        print(json.dumps({"refused": error.message}))
        return
    z = run(image[:64], mag[:64])
    first_s = _age_s()
    run(image[:512], mag[:512])
    began, busy = time.perf_counter(), time.process_time()
    run(image, mag)
    took_s, busy_s = time.perf_counter() - began, time.process_time() - busy
    expected = np.load(folder / "z.npy")
    print(
        json.dumps(
            {
                "rate": len(image) / took_s,
                "busy_s": busy_s,
                "first_s": first_s,
                "mib": _peak_mib(),
                "deviation": float(np.max(np.abs(z - expected) / (1 + np.abs(expected)))),
                "flops_an_image": FLOPS_AN_IMAGE,
            }
        )
    )


def _engine(folder: Path, variant: str, threads: int) -> Callable[[Any, Any], Z]:
    from cosmic.model.checkpoint import load_checkpoint
    from cosmic.model.engine import Engine

    name, _, precision = variant.partition("-")
    checkpoint = load_checkpoint(folder / "m.safetensors")
    engine = Engine(checkpoint, threads, name=name, precision=precision or "float32")
    return lambda image, mag: engine.predict_all(image, mag).z_phot


def _loop(folder: Path, variant: str, threads: int) -> Callable[[Any, Any], Z]:
    import torch

    from bench.baseline import LambdaLoop, PlainLoop

    loop = (LambdaLoop if variant == "lambda-loop" else PlainLoop)(
        folder / "m.safetensors", threads
    )
    return lambda image, mag: loop.run(torch.from_numpy(image), torch.from_numpy(mag)).numpy()


def _folded(folder: Path, variant: str, threads: int) -> Callable[[Any, Any], Z]:
    import torch

    from bench.engine.folded import FoldedTorch

    model = FoldedTorch(folder / "folded.pt", threads)
    return lambda image, mag: model.run(torch.from_numpy(image), torch.from_numpy(mag)).numpy()


MAKERS = {"lambda-loop": _loop, "plain-loop": _loop, "torch-folded": _folded}


def peak_flops(threads: int) -> float:
    """The best of ten float32 products of two square matrices: operations a second."""
    import torch

    torch.set_num_threads(threads)
    a, b = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE)
    best = 1e9
    for _ in range(10):
        began = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - began)
    return 2 * SIDE**3 / best


def _age_s() -> float:
    """Seconds since the kernel started this process (proc(5), field 22 of stat)."""
    stat = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started_s = int(stat[19]) / os.sysconf("SC_CLK_TCK")
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s


def _peak_mib() -> int:
    """Largest resident set of this program (proc(5), VmHWM)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


if __name__ == "__main__":
    main()
