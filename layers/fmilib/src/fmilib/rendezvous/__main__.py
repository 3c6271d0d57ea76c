"""`python -m fmilib.rendezvous`: run a rendezvous until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import fmilib
from fmilib.rendezvous.limits import Limits
from fmilib.rendezvous.server import Server
from fmilib.wire import keys

SECRET_VARIABLE = "FMI_DEPLOYMENT_SECRET"  # noqa: S105 - a variable's name
log = logging.getLogger("fmilib.rendezvous")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=options.log_level.upper(), format="%(asctime)s %(message)s")
    secret = _secret(os.environ.get(SECRET_VARIABLE, ""))
    if secret is None:
        log.error("%s must hold at least 16 bytes in hexadecimal", SECRET_VARIABLE)
        return 2
    _raise_descriptor_limit()
    asyncio.run(_serve(options, secret))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m fmilib.rendezvous",
        description=f"Where ranks meet. The deployment's secret is read from {SECRET_VARIABLE}.",
    )
    parser.add_argument("--version", action="version", version=f"fmilib {fmilib.__version__}")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=7600, help="port; 0 for a free one")
    parser.add_argument(
        "--observe-port", type=int, help="a second port, to tell symmetric translators; 0: any"
    )
    parser.add_argument("--port-file", type=Path, help="write the port here once listening")
    parser.add_argument("--memory-s", type=float, default=60.0, help="remember failed jobs so long")
    parser.add_argument("--rejoin-s", type=float, default=15.0, help="wait so for retried ranks")
    parser.add_argument(
        "--relay-bytes", type=int, default=1 << 30, help="most that a job may relay; 0 for none"
    )
    parser.add_argument("--log-level", default="warning", help="debug, info, warning or error")
    return parser


async def _serve(options: argparse.Namespace, secret: bytes) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(report)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    limits = Limits(
        memory_s=options.memory_s, rejoin_s=options.rejoin_s, relay_bytes=options.relay_bytes
    )
    server = Server(secret, limits)
    async with server.listening(options.host, options.port, options.observe_port) as port:
        log.warning("listening on %s:%d", options.host, port)
        if options.port_file:
            _announce(options.port_file, port)
        await stop.wait()


def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what escaped from a callback of asyncio.

    Of a connection that went while its last bytes were on their way asyncio lets an error escape;
    that it is gone is found out, and acted on, all the same.
    """
    error = context.get("exception")
    if isinstance(error, OSError) and error.errno == errno.ENOTCONN:
        log.info("a connection was gone before its end was said")
    else:
        loop.default_exception_handler(context)


def _announce(path: Path, port: int) -> None:
    """Write the port beside and rename, so that a reader never sees half of it."""
    beside = path.with_name(path.name + ".part")
    beside.write_text(f"{port}\n")
    beside.replace(path)


def _secret(text: str) -> bytes | None:
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        return None
    return secret if len(secret) >= keys.MIN_SECRET_BYTES else None


def _raise_descriptor_limit() -> None:
    """Allow as many connections as the system lets this process have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
