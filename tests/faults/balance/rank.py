"""A rank as a process whose reading or computing a test can hold: `rank.py TASK READS BATCHES`.

It reads blocks that begin before row READS and computes BATCHES batches; then it says so on
standard output, and goes on when anything comes on standard input. At the end its record is there.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any
from unittest.mock import patch

from cosmic.contracts.plan import Slice
from cosmic.data.stream import Block, BlockReader
from cosmic.model.engine import Engine
from cosmic.model.graph import Array
from cosmic.ranks.environment import RankEnvironment
from cosmic.ranks.run_rank import run_rank
from cosmic.ranks.task import RankTask
from cosmic.storage.objects import Store, s3_client


class Hold:
    """What stands in front of reading and computing."""

    def __init__(self, reads: int, batches: int) -> None:
        self._reads, self._batches = reads, batches
        self._go = threading.Event()
        self._read, self._redshifts = BlockReader.read, Engine.redshifts
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        sys.stdin.readline()
        self._go.set()

    def read(self, reader: BlockReader, piece: Slice, connections: Any) -> Block:
        """`BlockReader.read`, held from a row on."""
        if piece.start >= self._reads:
            self._go.wait()
        return self._read(reader, piece, connections)

    def redshifts(self, engine: Engine, image: Any, mag: Any) -> Array:
        """`Engine.redshifts`, held after some batches."""
        self._batches -= 1
        if self._batches < 0 and not self._go.is_set():
            print("held", flush=True)
            self._go.wait()
        return self._redshifts(engine, image, mag)


def main() -> None:
    """Run the rank."""
    text, reads, batches = sys.argv[1:]
    hold = Hold(int(reads), int(batches))
    function = RankEnvironment.from_environment(os.environ, Store(s3_client()), secrets=None)  # type: ignore[arg-type]
    task = RankTask.model_validate_json(text)

    def read(reader: BlockReader, piece: Slice, connections: Any) -> Block:
        return hold.read(reader, piece, connections)

    def redshifts(engine: Engine, image: Any, mag: Any) -> Array:
        return hold.redshifts(engine, image, mag)

    with patch.object(BlockReader, "read", read), patch.object(Engine, "redshifts", redshifts):
        print(run_rank(task, function, time.monotonic() + 100).model_dump_json(), flush=True)


if __name__ == "__main__":
    main()
