"""An environment as it would be with one distribution and its dependencies, and nothing else."""

from __future__ import annotations

from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SITE = """
import sys
from importlib.machinery import PathFinder

HIDDEN = {hidden!r}


class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in HIDDEN else PathFinder.find_spec(name, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = Finder
"""


def hide_all_but(distribution: str, folder: Path) -> dict[str, str]:
    """Variables of processes that find what a distribution requires, and no other package.

    Args:
        distribution: Its name; its extras don't count.
        folder: Where a `sitecustomize` is put.
    """
    needed = closure(distribution)
    hidden = {
        name
        for name, owners in packages_distributions().items()
        if needed.isdisjoint(canonicalize_name(owner) for owner in owners)
    }
    (folder / "sitecustomize.py").write_text(SITE.format(hidden=hidden))
    return {"PYTHONPATH": str(folder)}


def closure(distribution: str) -> set[str]:
    """The names of a distribution and of all that it requires, in turn."""
    found: set[tuple[str, str]] = set()
    left = [(canonicalize_name(distribution), "")]
    while left:
        name, extra = left.pop()
        if (name, extra) in found:
            continue
        found.add((name, extra))
        for line in requires(name) or []:
            one = Requirement(line)
            if one.marker is None or one.marker.evaluate({"extra": extra}):
                left += [(canonicalize_name(one.name), also) for also in ("", *one.extras)]
    return {name for name, _ in found}
