"""Counters of one communicator: what moved, how often, how long it waited."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class OpStats:
    """One operation's totals: calls, seconds inside them, seconds of those spent waiting."""

    calls: int = 0
    seconds: float = 0.0
    wait_s: float = 0.0


@dataclass(slots=True)
class Stats:
    """Totals of a communicator: payload bytes and messages, and a line for each operation.

    `ways` says of each linked rank how the link came about: "direct"; "private", to its own
    address behind a translator; "punched", by calling each other; "relayed".
    """

    sent_bytes: int = 0
    received_bytes: int = 0
    sent_messages: int = 0
    received_messages: int = 0
    wait_s: float = 0.0
    links: int = 0
    ways: dict[int, str] = field(default_factory=dict)
    form_s: float = 0.0
    ops: dict[str, OpStats] = field(default_factory=dict)

    def op(self, name: str) -> OpStats:
        """Return the line of one operation, made on first use."""
        line = self.ops.get(name)
        return self.ops.setdefault(name, OpStats()) if line is None else line
