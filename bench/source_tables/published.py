"""The figures as the source document prints them, and its bill as Lambda would write it."""

from __future__ import annotations

from dataclasses import dataclass

from cosmic.costs.bill import Usage, bill, billed_ms

CONFIGURED_MB = 10_240
BITS_A_ROW = 164_160  # image float32, magnitudes float64, redshift float32
PARTITIONS = 517  # of 25 MB: their whole data set
PRICE_GB_S = 0.0000166667


@dataclass(frozen=True)
class Row:
    """One row of their table: batch 512 on Lambda.

    Attributes:
        partition_mb: As they name it; `rows` are the objects in it.
        duration_s: The profiler's summed processor time of one function.
        used_gb: Memory used, not configured.
        usd: By their formula, which takes the memory used.
        mbit_s: A function.
    """

    partition_mb: int
    rows: int
    data_gb: float
    world_size: int
    duration_s: float
    used_gb: float
    usd: float
    mbit_s: float

    def configured_usd(self) -> float:
        """This row's ranks at the memory that was configured, by our bill."""
        return _lambda_usd(self.world_size, self.duration_s)


ROWS = (
    Row(25, 1278, 1.25, 52, 6.2, 2.5, 0.15, 19),
    Row(50, 2556, 2.5, 52, 11.5, 3.8, 0.19, 20),
    Row(75, 3834, 3.75, 50, 17.0, 5.7, 0.29, 21),
    Row(100, 5112, 5.0, 50, 24.3, 7.0, 0.36, 22),
)
LOCAL_S, LOCAL_GB, LOCAL_MBIT_S = 9.56, 31.5, 21.5


def _lambda_usd(functions: int, seconds: float) -> float:
    lines = bill(Usage(((billed_ms(seconds), CONFIGURED_MB),) * functions))
    return sum(line.usd for line in lines if line.item.startswith("Lambda"))


def whole_data_usd() -> tuple[float, float]:
    """517 partitions of 25 MB: by the memory used, as they count, and by the memory configured."""
    row = ROWS[0]
    used = PARTITIONS * row.duration_s * row.used_gb * PRICE_GB_S
    return used, _lambda_usd(PARTITIONS, row.duration_s)
