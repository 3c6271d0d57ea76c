"""Run a module as `python -m` would, in a process that never outlives its parent.

`python -m cosmic_local.child_process PARENT_PID MODULE [ARGUMENT ...]`

Standard library only, and little of it: this is on the path of every cold start.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
import time

PR_SET_PDEATHSIG = 1


def command(module: str, *arguments: str) -> list[str]:
    """The command line that runs a module as a child of this process.

    On Linux the child is killed when the *thread* that started it ends: start it from one that
    lives as long as the process.
    """
    own = [sys.executable, "-m", "cosmic_local.child_process", str(os.getpid())]
    return [*own, module, *arguments]


def die_with(parent: int) -> None:
    """Have this process killed when its parent ends, however that ends."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    else:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    if os.getppid() != parent:
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def main() -> None:
    """Tie this process to its parent and become the module."""
    parent, module, *arguments = sys.argv[1:]
    die_with(int(parent))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
