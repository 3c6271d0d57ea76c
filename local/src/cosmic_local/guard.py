"""Who may speak to a server on this machine: programs, and its own pages; no other site's.

A page of any site can have the browser that shows it send requests to this machine, and with a
name of its own that it lets resolve to loopback (DNS rebinding) read the answers, too. A browser
says in each request for which host it is and, unless it reads from a page of the same host, whose
page sends it; both are looked at before anything is done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address

LOOPBACKS = ("127.0.0.1", "localhost", "[::1]")
OWN_SITES = ("", "same-origin", "none")  # "none": somebody typed the address


def refusal(
    header: Callable[[str], str | None],
    port: int,
    bound: str = LOOPBACKS[0],
    *,
    linked: bool = False,
) -> HTTPStatus | None:
    """Why a request is not answered, or None if it may be.

    Args:
        header: Gives a header of the request by its name, None if it has none of it.
        port: Where the server listens.
        bound: The address that it was told to listen on; containers name that one.
        linked: Whether a link on another site's page may lead here: nothing here changes by it.
    """
    host = header("Host") or ""
    if not is_own(host, port, bound):
        return HTTPStatus.MISDIRECTED_REQUEST
    origin, site = header("Origin"), header("Sec-Fetch-Site") or ""
    followed = linked and header("Sec-Fetch-Mode") == "navigate"
    if origin not in (None, f"http://{host}") or (site not in OWN_SITES and not followed):
        return HTTPStatus.FORBIDDEN
    return None


def is_own(host: str, port: int, bound: str = LOOPBACKS[0]) -> bool:
    """Whether a Host header names a server that listens on this address and port."""
    name, _, number = host.rpartition(":")
    if number != str(port):
        return False
    own = f"[{bound}]" if ":" in bound else bound
    return name in LOOPBACKS or name == own or (_is_any(bound) and _address(name) is not None)


def _is_any(bound: str) -> bool:
    """Whether a server listens on all addresses: it can't know them, but a name is none of them."""
    address = _address(bound)
    return address is not None and ip_address(address).is_unspecified


def _address(name: str) -> str | None:
    bare = name.removeprefix("[").removesuffix("]")
    with contextlib.suppress(ValueError):
        return str(ip_address(bare))
    return None
