"""The log of the package `cosmic`: quiet unless the program configures `logging`, or asks for it.

`COSMIC_LOG` names a level (debug, info, warning, error) and sends what happens to stderr: calls of
AWS that were refused or failed, runs that are submitted, cancelled and resumed.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping

VARIABLE = "COSMIC_LOG"
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_as_asked(environment: Mapping[str, str] | None = None) -> None:
    """Log to stderr if `COSMIC_LOG` names a level; once, however often it is called.

    A word that is no level is warned of: an import is no place to fail for that.
    """
    log = logging.getLogger("cosmic")
    told = (os.environ if environment is None else environment).get(VARIABLE, "")
    if not told or any(handler.get_name() == VARIABLE for handler in log.handlers):
        return
    level = logging.getLevelNamesMapping().get(told.upper())
    if level is None:
        message = (
            f"{VARIABLE} must be debug, info, warning or error, got {told!r}: nothing is logged"
        )
        warnings.warn(message, stacklevel=2)
        return
    handler = logging.StreamHandler()
    handler.set_name(VARIABLE)
    handler.setFormatter(logging.Formatter(FORMAT))
    log.addHandler(handler)
    log.setLevel(level)
