"""`python -m bench.engine.profile`: where OpenVINO's time goes, by kind of operation."""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from bench.engine.inputs import write_inputs
from cosmic.model.checkpoint import load_checkpoint
from cosmic.model.runners.openvino import compiled

WARM_UP, PASSES = 3, 30


def main() -> None:
    """Run batches under the library's own counters and print the shares."""
    parser = argparse.ArgumentParser(prog="bench.engine.profile", description=__doc__)
    parser.add_argument("--preset", default="full")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(folder, options.preset, options.batch_size)
        inputs = [np.load(folder / f"{one}.npy") for one in ("image", "mag")]
        checkpoint = load_checkpoint(folder / "m.safetensors")
        model = compiled(checkpoint, options.batch_size, options.threads, "float32", counters=True)
        request = model.create_infer_request()
        took_s, times = Counter[str](), Counter[str]()
        for number in range(WARM_UP + PASSES):
            request.infer(inputs, share_inputs=True)
            for node in request.profiling_info if number >= WARM_UP else ():
                took_s[node.node_type] += node.real_time.total_seconds()
                times[node.node_type] += node.real_time.total_seconds() > 0
    whole_s = sum(took_s.values())
    print("| operation | of the time | ms per batch | calls per batch |")
    print("|---|---|---|---|")
    for kind, spent_s in took_s.most_common():
        if times[kind]:
            print(f"| {kind} | {spent_s / whole_s:.1%} | {1000 * spent_s / PASSES:.2f} "
                  f"| {times[kind] / PASSES:.0f} |")  # fmt: skip
    rate = options.batch_size * PASSES / whole_s
    print(f"{rate:.0f} images/s, {options.threads} thread(s), batches of {options.batch_size}")


if __name__ == "__main__":
    main()
