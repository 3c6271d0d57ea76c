"""Where a rank is found: its one port for links, and how the rendezvous sees that port."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

from fmilib.config import Settings
from fmilib.connectivity import ports
from fmilib.connectivity.path_selection import AddressBook
from fmilib.connectivity.ports import Address
from fmilib.errors import RendezvousError
from fmilib.wire.control_frames import Message

PAUSE_S = 0.5
Arrived = Callable[[socket.socket], None]
_ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - what a user may have bound
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Listener:
    """Owns the port for links, and calls the rendezvous from it.

    Args:
        settings: this rank's.
        addresses: told where this rank listens.
        arrived: given each connection that comes in.

    Attributes:
        rendezvous: where it was last reached.
    """

    def __init__(self, settings: Settings, addresses: AddressBook, arrived: Arrived) -> None:
        self._settings = settings
        self._addresses = addresses
        self._arrived = arrived
        self._told: Address | None = None
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self.rendezvous: Address = (settings.host, settings.port)

    async def reach(self) -> socket.socket:
        """Return a connection to the rendezvous, from the port for links if that can be.

        Raises:
            OSError: it can't be reached.
            RendezvousError: the port for links can't be opened.
        """
        trouble: OSError = ConnectionError("the rendezvous has no address")
        for remote in await ports.resolved(self._settings.host, self._settings.port):
            try:
                route = ports.route_from(remote)
                local = self._listen(route)
                sock = await ports.call_from((route, local[1]), remote)
            except OSError as error:
                trouble = error
                continue
            self.rendezvous = remote
            return sock
        raise trouble

    def registration(self, local: Address) -> Message:
        """Return where others find this rank; `local` is this end of the control connection."""
        settings, mine = self._settings, self._addresses.local or local
        host = local[0] if mine[0] in _ANY_ADDRESS else mine[0]
        self._told = settings.advertise or host, mine[1]
        return {"host": self._told[0], "port": mine[1], "own_port": local[1] == mine[1]}

    def _listen(self, route: str) -> Address:
        """Open the port for links, once."""
        if self._addresses.local is not None:
            return self._addresses.local
        host = self._settings.bind or route
        try:
            self._listener = ports.listener(host)
        except OSError as error:
            raise RendezvousError(f"can't listen on {host}: {error.strerror}") from error
        self._addresses.local = (host, int(self._listener.getsockname()[1]))
        self._accepting = asyncio.create_task(self._accept_all(self._listener))
        return self._addresses.local

    def own_way(self) -> str:
        """Return how a link came about that was dialled at this rank's own address."""
        public = self._addresses.public
        return "private" if public and public != self._told else "direct"

    async def close(self) -> None:
        """Give the port back."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.gather(self._accepting, return_exceptions=True)
        if self._listener is not None:
            self._listener.close()

    async def _accept_all(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno in _NO_ROOM:
                    await asyncio.sleep(PAUSE_S)
                continue
            self._arrived(sock)
