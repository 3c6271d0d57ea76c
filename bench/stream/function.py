"""`python -m bench.stream.function BUCKET RUN`: one rank in a process that begins as AWS's does.

Prints the rank's record. Nothing is imported here that the function itself doesn't import: the
process's memory is what is measured.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

FUNCTION = Path(__file__).parents[2] / "functions" / "infer"


def main() -> None:
    """Import the handler under the runtime's client and run rank 0 of a planned run."""
    bucket, run = sys.argv[1:]
    importlib.import_module("awslambdaric.bootstrap")
    sys.path.insert(0, str(FUNCTION))
    app = importlib.import_module("app")
    task = app.RankTask(bucket=bucket, prefix="runs/", run=run, rank=0)
    print(json.dumps(app.run_rank(task, app.function, float("inf")).model_dump()))


if __name__ == "__main__":
    main()
