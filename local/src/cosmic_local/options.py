"""What a stack is started with, and the command line that carries it to the stack's process."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cosmic_local.errors import StackError

RELEASE = b"release\n"  # on a stack's standard input: it outlives who started it


@dataclass(frozen=True)
class StackOptions:
    """What a stack is started with.

    Attributes:
        template: The SAM template.
        state_dir: Where logs, records and everything temporary go.
        parameters: Values for the template's parameters.
        environment: Variables that every function gets, over those of the template.
        concurrency: Invocations at once over all functions; fewer where memory is short.
        rendezvous: Whether the FMI rendezvous server is started, too. Functions find it in
            `FMI_RENDEZVOUS`, its secret in `FMI_DEPLOYMENT_SECRET`; the template's parameter
            `RendezvousAddress`, if it has one, is its address.
        console: Whether the page that shows the runs is served, too.
        name: The stack's name.
        region: The region that is played.
        host: Address that the emulator listens on; containers reach no loopback.
        port: Where the emulator listens; 0 takes a free port.
        lambda_endpoint: Where functions run, in place of processes of the stack's own.
        idle_s: How long an idle execution environment is kept.
        data: Where objects and executions are kept beyond the stack's end; without it they go.
        detached: Whether the stack outlives the process that starts it.
    """

    template: Path
    state_dir: Path
    parameters: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    concurrency: int = 100
    rendezvous: bool = False
    console: bool = False
    name: str = "cosmic"
    region: str = "us-east-1"
    host: str = "127.0.0.1"
    port: int = 0
    lambda_endpoint: str = ""
    idle_s: float = 120.0
    data: Path | None = None
    detached: bool = False

    def arguments(self) -> list[str]:
        """As command line."""
        pairs = [("--parameter", self.parameters), ("--environment", self.environment)]
        named = [
            word
            for flag, items in pairs
            for item in items.items()
            for word in (flag, "=".join(item))
        ]
        switches = {"rendezvous": self.rendezvous, "console": self.console}
        switches["detached"] = self.detached
        flags = [f"--{name}" for name, on in switches.items() if on]
        data = ("--data", str(self.data)) if self.data is not None else ()
        return [
            *("--template", str(self.template)),
            *("--state-dir", str(self.state_dir)),
            *("--concurrency", str(self.concurrency)),
            *("--name", self.name),
            *("--region", self.region),
            *("--host", self.host),
            *("--port", str(self.port)),
            *("--lambda-endpoint", self.lambda_endpoint),
            *("--idle-s", str(self.idle_s)),
            *data,
            *named,
            *flags,
        ]

    @classmethod
    def parse(cls, arguments: Sequence[str] | None = None) -> Self:
        """From a command line."""
        parser = argparse.ArgumentParser(prog="python -m cosmic_local")
        parser.add_argument("--template", type=Path, required=True)
        parser.add_argument("--state-dir", type=Path, required=True)
        parser.add_argument("--parameter", action="append", default=[], metavar="NAME=VALUE")
        parser.add_argument("--environment", action="append", default=[], metavar="NAME=VALUE")
        parser.add_argument("--concurrency", type=int, default=cls.concurrency)
        parser.add_argument("--rendezvous", action="store_true")
        parser.add_argument("--console", action="store_true")
        parser.add_argument("--name", default=cls.name)
        parser.add_argument("--region", default=cls.region)
        parser.add_argument("--host", default=cls.host)
        parser.add_argument("--lambda-endpoint", default=cls.lambda_endpoint)
        parser.add_argument("--port", type=int, default=cls.port)
        parser.add_argument("--idle-s", type=float, default=cls.idle_s)
        parser.add_argument("--data", type=Path)
        parser.add_argument("--detached", action="store_true")
        found = vars(parser.parse_args(arguments))
        found["parameters"] = _pairs(found.pop("parameter"))
        found["environment"] = _pairs(found["environment"])
        return cls(**found)


def _pairs(words: list[str]) -> dict[str, str]:
    pairs = [word.partition("=") for word in words]
    for name, equals, _ in pairs:
        if not equals:
            raise StackError(f"{name!r} is not of the form NAME=VALUE")
    return {name: value for name, _, value in pairs}
