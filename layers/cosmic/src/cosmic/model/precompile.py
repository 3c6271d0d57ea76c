"""`python -m cosmic.model.precompile FOLDER`: what can be done with an image's checkpoints already.

Run when the image is built, with what a rank finds there: each checkpoint's checksum is noted, and
its model compiled for the processor of the machine that builds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cosmic.contracts.engines import AUTO_ENGINE
from cosmic.model.baked import note_checksum
from cosmic.model.checkpoint import Checkpoint, load_checkpoint
from cosmic.model.engine import BATCH_SIZE


def main() -> None:
    """Prepare all checkpoints of a folder."""
    parser = argparse.ArgumentParser(prog="cosmic.model.precompile", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, default=1, help="one per whole vCPU of a rank")
    parser.add_argument("--batch-size", type=int, default=BATCH_SIZE)
    options = parser.parse_args()
    for path in sorted(options.folder.glob("*.safetensors")):
        checkpoint = load_checkpoint(path)
        note_checksum(path, checkpoint.sha256)
        if AUTO_ENGINE == "openvino":
            keep_compiled(checkpoint, options.folder, options.batch_size, options.threads)


def keep_compiled(checkpoint: Checkpoint, folder: Path, rows: int, threads: int) -> None:
    """Keep a checkpoint's model in float32, compiled; where there is no OpenVINO, nothing.

    Args:
        folder: Where it is kept.
        rows: Of every batch.
        threads: That may run it.
    """
    try:
        from cosmic.model.runners.openvino import keep_model
    except ModuleNotFoundError:  # Arm's image has ONNX Runtime in its place
        return
    keep_model(checkpoint, rows, threads, folder)


if __name__ == "__main__":
    main()
