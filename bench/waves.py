"""`python -m bench.waves`: a run of more ranks than the machine's memory holds, in waves.

Prints how many ran at once and the most memory that the stack with all its processes has held, as
the sum of their proportional set sizes.
"""

from __future__ import annotations

import argparse
import sys

from bench.small_stack import Peak, small_stack
from cosmic.contracts.status import State

BATCH = 2


def main() -> int:
    """Measure and print; 1 if the run is not whole."""
    parser = argparse.ArgumentParser(prog="bench.waves", description=__doc__)
    parser.add_argument("--ranks", type=int, default=300, help="of one batch each")
    parser.add_argument("--concurrency", type=int, default=100, help="at most, of the stack")
    options = parser.parse_args()
    with small_stack(options.ranks * BATCH, options.concurrency) as small:
        with Peak(small.stack.info.pid) as peak:
            _, status = small.run(options.ranks, BATCH)
        served = small.stack.invocations("InferFunction")
        environments = len({record.pid for record in served})
        print("| ranks | at once | processes | started | peak MiB | rows | state |")
        print("|---|---|---|---|---|---|---|")
        cells = (
            options.ranks,
            small.stack.info.concurrency,
            peak.processes,
            environments,
            f"{peak.memory_mib:,.0f}",
            f"{status.rows_out} of {small.rows}",
            status.state.value,
        )
        print(f"| {' | '.join(map(str, cells))} |")
    return int(status.state is not State.SUCCEEDED)


if __name__ == "__main__":
    sys.exit(main())
