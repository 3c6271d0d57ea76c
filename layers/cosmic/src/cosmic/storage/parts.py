"""In which parts a result goes to S3 while it is written; this module imports no boto3."""

from __future__ import annotations

PART_BYTES = 5 << 20  # the least that S3 takes
MAX_PARTS = 10_000
