"""The default names of a deployment, in a module of their own that doesn't import boto3."""

from __future__ import annotations

from pathlib import Path

STATE_DIR = Path(".cosmic/local")
STACK = "cosmic"
PREFIX = "runs/"
