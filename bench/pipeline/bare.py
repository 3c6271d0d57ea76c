"""The bare loop: `python -m bench.pipeline.bare MODEL PARTITION THREADS`.

A process that holds one partition in memory and a warm engine. It answers each number of rows on
its standard input with the wall seconds that the engine took for them, batch by batch, and the
processor's seconds.
"""

from __future__ import annotations

import sys
from pathlib import Path

from safetensors.numpy import load_file

from cosmic.model.checkpoint import load_checkpoint
from cosmic.model.engine import Engine


def main() -> None:
    """Read, warm up, say so, then answer."""
    model, partition, threads = sys.argv[1:]
    engine = Engine(load_checkpoint(Path(model)), int(threads))
    engine.warm_up()
    columns = load_file(partition)
    image, mag = columns["image"], columns["mag"]
    print("ready", flush=True)
    for line in sys.stdin:
        left = int(line)
        while left > 0:
            rows = min(left, len(image))
            engine.predict_all(image[:rows], mag[:rows])
            left -= rows
        print("done", flush=True)


if __name__ == "__main__":
    main()
