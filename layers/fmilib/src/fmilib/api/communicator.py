"""What users hold: one rank's place in a job, and the operations on it.

A communicator belongs to the thread that uses it; calls don't run side by side. After the
first failure every further call raises it again: make a new communicator.
"""

from __future__ import annotations

from fmilib.api.buffer_api import BufferCalls
from fmilib.api.object_api import ObjectCalls


class Communicator(ObjectCalls, BufferCalls):
    """A rank's place in a job; made by `fmilib.connect`.

    Attributes:
        rank: this rank.
        size: ranks in the job.
        advisor: what is known of the channels' speed.
    """
