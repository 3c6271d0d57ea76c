"""How much of its rows a rank holds at once."""

from __future__ import annotations

BLOCK_BYTES = 4 << 20
AHEAD_BYTES = 12 << 20
BLOCKS_HELD = 3
