"""`python -m bench.faults`: runs of the whole pipeline under faults, for a bounded time.

Each seed decides which faults there are; what they meet depends on the machine's timing as well.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator

from bench.faults.campaign import KINDS, LOST, NAMED, RESUMED, WHOLE, Campaign, Outcome, deployed


def main() -> int:
    """Run the campaign that the arguments ask for; 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="bench.faults", description=__doc__)
    parser.add_argument("--seed", type=int, nargs="+", default=[1, 2, 3], help="one or more")
    parser.add_argument("--seconds", type=float, default=600.0, help="begin no run after these")
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    found: list[Outcome] = []
    with deployed() as campaign:
        campaign.undisturbed()
        for outcome in _tried(campaign, options.seed, until):
            found.append(outcome)
            _say(outcome)
    print(table(found))
    return int(any(outcome.end == LOST for outcome in found))


def _tried(campaign: Campaign, seeds: list[int], until: float) -> Iterator[Outcome]:
    """One run of each kind at least; then, for as long as there is time, each kind of each seed."""
    for turn in range(len(seeds)):
        for place, kind in enumerate(KINDS):
            if turn and time.monotonic() > until:
                return
            yield campaign.try_one(seeds[(turn + place) % len(seeds)], kind)


def _say(outcome: Outcome) -> None:
    faults = ", ".join(f"{name} {count}" for name, count in sorted(outcome.faults.items()))
    why = f": {outcome.why}" if outcome.why else ""
    line = f"seed {outcome.seed}, {outcome.kind} ({faults or 'none came'}): {outcome.end}{why}"
    print(f"{line} [{outcome.took_s:.1f} s]", file=sys.stderr, flush=True)


def table(found: list[Outcome]) -> str:
    """What was tried, and what became of it."""
    ends = (WHOLE, RESUMED, NAMED, LOST)
    rows = [f"| what was tried | runs | faults | {' | '.join(ends)} |", "|---" * 7 + "|"]
    for kind in KINDS:
        of_kind = [outcome for outcome in found if outcome.kind == kind]
        counts = Counter(outcome.end for outcome in of_kind)
        faults = sum(sum(outcome.faults.values()) for outcome in of_kind)
        cells = " | ".join(str(counts[end]) for end in ends)
        rows.append(f"| {kind} | {len(of_kind)} | {faults} | {cells} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
