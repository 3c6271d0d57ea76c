"""A package that is not installed is named with what installs it."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import cosmic
from cosmic.errors import InputError
from cosmic.extras import EXTRAS, not_installed

PROJECT = Path(__file__).parents[2] / "layers/cosmic/pyproject.toml"
NAMES = {"PIL": "pillow", "cosmic_local": "cosmic-local", "sklearn": "scikit-learn"}


@pytest.mark.parametrize("package", EXTRAS)
def test_the_extra_that_is_named_installs_the_package(package: str) -> None:
    extras = tomllib.loads(PROJECT.read_text())["project"]["optional-dependencies"]
    required = [Requirement(line) for line in extras[EXTRAS[package]]]
    names = {one.name for one in required}
    if package == "cryptography":  # fmilib's own extra
        assert any(one.name == "fmilib" and "encrypt" in one.extras for one in required)
    else:
        assert NAMES.get(package, package) in names


def test_a_part_of_a_package_is_the_package() -> None:
    error = not_installed(ModuleNotFoundError("no", name="sklearn.mixture"))
    assert (error.code, error.hint) == ("not-installed", "pip install 'cosmic[train]'")


def test_a_module_of_our_own_that_lacks_is_no_choice_of_the_users() -> None:
    lacking = ModuleNotFoundError("no", name="cosmic.no_such_module")
    with pytest.raises(ModuleNotFoundError) as seen:
        not_installed(lacking)
    assert seen.value is lacking


def test_an_export_whose_package_lacks_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setitem(cosmic.HOMES, "needs_torch", "torch")
    with pytest.raises(InputError, match=r"needs the package torch.*cosmic\[train\]"):
        cosmic.needs_torch  # noqa: B018
