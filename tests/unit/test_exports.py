"""What `import cosmic` offers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import cosmic


def typed_names() -> dict[str, str]:
    """What type checkers see: each name with the module that it is imported from."""
    tree = next(
        node
        for node in ast.parse(Path(str(cosmic.__file__)).read_text()).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    )
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def test_every_name_is_what_type_checkers_take_it_for() -> None:
    assert typed_names() == cosmic.HOMES
    assert sorted(cosmic.HOMES) == cosmic.__all__
    assert set(cosmic.__all__) <= set(dir(cosmic))


@pytest.mark.parametrize("name", cosmic.__all__)
def test_a_name_is_found_and_has_a_docstring(name: str) -> None:
    assert getattr(cosmic, name).__doc__


def test_what_is_not_exported_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        cosmic.nothing  # noqa: B018
