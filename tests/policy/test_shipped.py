"""What is deployed of `cosmic`: all that a handler can reach, and nothing for users' machines."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from .conftest import ROOT

SOURCE = ROOT / "layers/cosmic/src/cosmic"
IMAGE = "layers/cosmic/src/cosmic"
VARIABLES = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
    "COSMIC_INFER_FUNCTION": "infer",
    "COSMIC_INFER_MEMORY_MB": "1769",
    "COSMIC_MAX_WORLD_SIZE": "10",
    "COSMIC_STATE_MACHINE_ARN": "arn:aws:states:us-east-1:123456789012:stateMachine:x",
}
Shipped = tuple[set[str], set[str]]


def layer() -> Shipped:
    """Paths that go into the layer, and those that are taken out again, by its Makefile."""
    text = (ROOT / "layers/cosmic/Makefile").read_text()
    taken, left_out = (
        set(re.findall(rf"^{name} := (.*)$", text, re.MULTILINE)[0].split())
        for name in ("SHIPPED", "LEFT_OUT")
    )
    return taken, left_out


def image() -> Shipped:
    """The same of the image: the whole package but for what `.dockerignore` keeps away."""
    lines = (ROOT / ".dockerignore").read_text().split()
    assert f"!{IMAGE}" in lines
    left_out = {n.removeprefix(f"{IMAGE}/") for n in lines if n.startswith(f"{IMAGE}/")}
    there = {path.name for path in SOURCE.iterdir() if path.name != "__pycache__"}
    return there - left_out, left_out - there


SHIPPED = {"init": layer, "aggregate": layer, "infer": image}


def within(module: str, paths: set[str]) -> bool:
    path = module.removeprefix("cosmic").lstrip(".").replace(".", "/") or "__init__"
    return f"{path}.py" in paths or any(f"{path}/".startswith(f"{one}/") for one in paths)


def is_shipped(module: str, function: str) -> bool:
    taken, left_out = SHIPPED[function]()
    return within(module, taken) and not within(module, left_out)


def imported(function: str) -> set[str]:
    """Modules of `cosmic` that a handler's file names."""
    tree = ast.parse((ROOT / "functions" / function / "app.py").read_text())
    nodes = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    return {node.module for node in nodes if node.module and node.module.startswith("cosmic")}


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("cosmic", exclude_type_checking_imports=True, cache_dir=None)


def reached(graph: grimp.ImportGraph, *functions: str) -> set[str]:
    """Modules that handlers import, now or in a function that they call."""
    named = set[str]().union(*map(imported, functions))
    return named.union(*(graph.find_upstream_modules(module) for module in named))


@pytest.mark.parametrize("function", SHIPPED)
def test_all_that_a_handler_can_reach_is_shipped(graph: grimp.ImportGraph, function: str) -> None:
    assert {m for m in reached(graph, function) if not is_shipped(m, function)} == set()


@pytest.mark.parametrize("functions", [("init", "aggregate"), ("infer",)])
def test_no_subpackage_is_shipped_that_nothing_reaches(
    graph: grimp.ImportGraph, functions: tuple[str, ...]
) -> None:
    packages = {m for m in graph.modules if (SOURCE.parent / m.replace(".", "/")).is_dir()}
    there = {m for m in packages if is_shipped(m, functions[0])} - {"cosmic"}
    used = reached(graph, *functions)
    assert {p for p in there if not any(m.startswith(f"{p}.") or m == p for m in used)} == set()


@pytest.mark.parametrize("function", SHIPPED)
def test_a_handler_imports_with_what_is_shipped_alone(function: str, tmp_path: Path) -> None:
    taken, left_out = SHIPPED[function]()
    (tmp_path / "cosmic").mkdir()
    for name in taken:
        copy = shutil.copytree if (SOURCE / name).is_dir() else shutil.copy
        copy(SOURCE / name, tmp_path / "cosmic" / name)
    for name in left_out:
        shutil.rmtree(tmp_path / "cosmic" / name, ignore_errors=True)
    shutil.copy(ROOT / "functions" / function / "app.py", tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", "import app, cosmic; print(cosmic.__file__)"],
        cwd=tmp_path,
        env={**os.environ, **VARIABLES, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "cosmic/__init__.py")
