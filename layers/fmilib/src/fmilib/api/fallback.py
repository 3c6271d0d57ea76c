"""The last resort: if a job's ranks can't all be linked, the whole job goes over a store.

The ranks form in the store first, so that they can agree there. Each then makes the links of
its graph by a barrier over the direct channel and says whether it has succeeded; unless all have,
all stay in the store. If a rank dies meanwhile, its lease in the store shows it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from fmilib.errors import FmiError
from fmilib.trace import Trace

if TYPE_CHECKING:
    from fmilib.api.communicator import Communicator

Join = Callable[[], "Communicator"]


def safest(direct: Join, stored: Join, trace: Trace) -> Communicator:
    """Return the job over links if all ranks have theirs, else over the store.

    Args:
        direct: Joins the job over links.
        stored: Joins the same job over the store.
        trace: Told if the job stays in the store.

    Raises:
        FmiError: it can't be formed in the store either.
    """
    store = stored()
    linked: Communicator | None = None
    try:
        linked = _linked(direct)
        all_linked = store.allreduce(linked is not None, "land")
    except BaseException:
        if linked is not None:
            linked.close()
        store.close()
        raise
    if linked is not None and all_linked:
        store.close()
        return linked
    trace("fallback.taken", linked_here=linked is not None)
    if linked is not None:
        linked.close()
    return store


def _linked(direct: Join) -> Communicator | None:
    """Return the job over links that are all there, or None."""
    try:
        comm = direct()
    except FmiError:
        return None
    try:
        comm.barrier()
    except FmiError:
        comm.close()
        return None
    return comm
