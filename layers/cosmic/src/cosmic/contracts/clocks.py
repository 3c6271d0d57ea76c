"""Whose clock measured what a bill prices."""

from __future__ import annotations

AWS = "AWS Lambda"
THIS_MACHINE = "this machine"  # of a local stack: priced as if Lambda had taken as long
