"""`cosmic rendezvous`: where ranks meet, in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cosmic.errors import InputError
from cosmic_cli.exit_codes import show_json
from cosmic_cli.options import AsJson

LEVELS = ("debug", "info", "warning", "error")


def rendezvous(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = 7600,
    observe_port: Annotated[
        int | None,
        typer.Option(help="A second port, to detect symmetric NATs; 0 picks a free one."),
    ] = None,
    port_file: Annotated[
        Path | None, typer.Option(help="File to write the port to once listening.")
    ] = None,
    memory_s: Annotated[float, typer.Option(help="Seconds to remember failed jobs.")] = 60.0,
    rejoin_s: Annotated[float, typer.Option(help="Seconds to wait for retried ranks.")] = 15.0,
    relay_bytes: Annotated[int, typer.Option(help="Maximum bytes that a job may relay.")] = 1 << 30,
    log_level: Annotated[str, typer.Option(help=", ".join(LEVELS))] = "warning",
    as_json: AsJson = False,
) -> None:
    """Run the rendezvous server of the direct channel until Ctrl-C.

    The deployment's secret, 16 bytes or more in hexadecimal, is read from FMI_DEPLOYMENT_SECRET.

    Example: FMI_DEPLOYMENT_SECRET=$(openssl rand -hex 32) cosmic rendezvous --host 0.0.0.0

    JSON: {"exit"} once it has ended; its log goes to stderr
    """
    from fmilib.rendezvous.__main__ import SECRET_VARIABLE, main

    if log_level not in LEVELS:
        hint = f"one of {', '.join(LEVELS)}"
        raise InputError(f"log level {log_level!r} is unknown", code="usage", hint=hint)
    words = {
        "--host": host,
        "--port": port,
        "--observe-port": observe_port,
        "--port-file": port_file,
        "--memory-s": memory_s,
        "--rejoin-s": rejoin_s,
        "--relay-bytes": relay_bytes,
        "--log-level": log_level,
    }
    given = {name: str(value) for name, value in words.items() if value is not None}
    code = main([word for pair in given.items() for word in pair])
    if code:
        hint = f"export {SECRET_VARIABLE}=$(openssl rand -hex 32), the same for all ranks"
        raise InputError("the server has no secret", code="no-secret", hint=hint)
    if as_json:
        show_json({"exit": code})
