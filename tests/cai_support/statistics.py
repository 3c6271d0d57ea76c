"""What CAI's statistics script does with combined_data.json, anew: same files, keys, sums."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

KEYS = ["total_cpu_time (seconds)", "total_cpu_memory (MB)", "throughput_bps"]
S3_KEYS = ["s3_total_time", "s3_avg_time", "s3_min_time", "s3_max_time"]


def without_outliers(values: Any) -> float:
    """The mean of what lies within 1.5 interquartile ranges of the quartiles."""
    low, high = np.percentile(values, [25, 75])
    reach = 1.5 * (high - low)
    return float(np.mean([v for v in values if low - reach <= v <= high + reach]))


def varying_data_size(
    partitions: Sequence[int], data_sizes: Sequence[str], runs: int
) -> list[dict[str, Any]]:
    """One row a partition size, data size and run, from the folder in which one is."""
    frames = []
    for partition in partitions:
        for data_size in data_sizes:
            for run in range(1, runs + 1):
                place = Path(f"result-partition-{partition}MB/{data_size}/{run}")
                entries = json.loads((place / "combined_data.json").read_text())
                frame = pd.DataFrame({key: [e[key] for e in entries] for key in KEYS})
                s3 = {key: [e[key] for e in entries if key in e] for key in S3_KEYS}
                if s3[S3_KEYS[0]]:
                    frame = frame.assign(**pd.DataFrame(s3))
                frames.append(frame.assign(partition=partition, data_size=data_size, run=run))
    every = pd.concat(frames)
    every["total_bits"] = every["throughput_bps"] * every["total_cpu_time (seconds)"]
    how: dict[str, Any] = {
        KEYS[0]: without_outliers,
        **dict.fromkeys([*KEYS[1:], "total_bits"], "sum"),
    }
    summed = every.groupby(["partition", "data_size", "run"])[list(how)].agg(how).reset_index()
    rows: list[dict[str, Any]] = summed.to_dict("records")
    return rows
