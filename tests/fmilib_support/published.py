"""A peer of the published interface's own program, its values checked."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from fmilib_support.ranks import Place


def peer(place: Place) -> dict[str, Any]:
    """Do every operation of the published interface; return what came."""
    import fmi

    host, port = place.address.rsplit(":", 1)
    direct = {"enabled": True, "host": host, "port": int(port), "max_timeout": 30_000}
    folder = Path(place.options["folder"]) / str(place.rank)
    folder.mkdir()
    path = folder / "fmi.json"
    path.write_text(json.dumps({"backends": {place.options["backend"]: direct}}))
    os.environ["FMI_SECRET"] = place.secret.hex()
    comm = fmi.Communicator(place.rank, place.size, str(path), place.job, 512)
    found = _operations(comm, place.rank, place.size)
    comm.close()
    return found


def _operations(comm: Any, rank: int, size: int) -> dict[str, Any]:
    import fmi

    number, real = fmi.types(fmi.datatypes.int), fmi.types(fmi.datatypes.double)
    two, four = fmi.types(fmi.datatypes.int_list, 2), fmi.types(fmi.datatypes.double_list, 2 * size)
    total, minus = fmi.func(fmi.op.sum), fmi.func(fmi.op.custom, lambda a, b: a - b, False, False)
    double = fmi.func(fmi.op.custom, lambda a, b: 2 * a + 2 * b, True, True)
    comm.hint(fmi.hints.fast)
    comm.barrier()
    found: dict[str, Any] = {}
    if rank == 0:
        comm.send(42, 1, number)
        comm.send([1, 2], 1, two)
    elif rank == 1:
        found["recv"] = [comm.recv(0, number), comm.recv(0, two)]
    mine = rank == 0
    found["bcast"] = [comm.bcast(14.2 if mine else None, 0, real), comm.bcast([1, 2], 1, two)]
    found["gather"] = [comm.gather(rank, 0, number), comm.gather([rank, 9], 1, two)]
    share = [float(i) for i in range(2 * size)]
    found["scatter"] = comm.scatter(share if mine else None, 0, four)
    found["reduce"] = [comm.reduce(rank + 1, 0, minus, number), comm.reduce([1, 2], 1, total, two)]
    found["allreduce"] = [
        comm.allreduce([42, 14], total, two),
        comm.allreduce(14.0, fmi.func(fmi.op.prod), real),
        comm.allreduce(42, fmi.func(fmi.op.max), number),
        comm.allreduce(0.25, double, real),
    ]
    found["scan"] = comm.scan(rank, minus, number)
    return found
