"""A rank as a process: `python -m bench.balance.rank RUN RANK FACTOR MOVE`; prints its record.

It computes slower by a factor, standing still after each batch; without MOVE no rows move.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any
from unittest.mock import patch

from bench.stream.stage import BUCKET
from cosmic.inference.engine import Engine, Predictions
from cosmic.inference.function import Function
from cosmic.inference.line import Line
from cosmic.inference.rank import run_rank
from cosmic.inference.task import RankTask
from cosmic.store import Store, s3_client


def main() -> None:
    """Run the rank."""
    run, rank, factor, move = sys.argv[1:]
    predict, more = Engine.predict, float(factor) - 1

    def slowed(engine: Engine, image: Any, mag: Any) -> Predictions:
        began = time.monotonic()
        found = predict(engine, image, mag)
        time.sleep(more * (time.monotonic() - began))
        return found

    function = Function.from_environment(os.environ, Store(s3_client()), secrets=None)  # type: ignore[arg-type]
    task = RankTask(bucket=BUCKET, prefix="runs/", run=run, rank=int(rank))
    between = Line.between if move == "True" else lambda *_: Line(None, 0.0)
    with patch.object(Engine, "predict", slowed), patch.object(Line, "between", between):
        print(run_rank(task, function, time.monotonic() + 300).model_dump_json())


if __name__ == "__main__":
    main()
