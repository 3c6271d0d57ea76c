"""Where a deployment is looked for if nothing else is said; what only names it needs no boto3."""

from __future__ import annotations

from pathlib import Path

STATE_DIR = Path(".cosmic/local")
STACK = "cosmic"
PREFIX = "runs/"
