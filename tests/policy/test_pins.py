"""What is deployed is pinned, hashed, complete, and offered only where there are wheels."""

from __future__ import annotations

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from cosmic_local.template.template import read

from .conftest import ROOT

IMAGE, ARM_IMAGE = "functions/infer/requirements", "functions/infer/requirements-arm64"
PINNED = (
    IMAGE,
    ARM_IMAGE,
    "layers/dependencies/requirements",
    "layers/figures/requirements",
    "layers/fmilib/requirements",
)
RUNTIME_BRINGS = {"boto3", "botocore", "s3transfer", "urllib3"}
OURS = {"cosmic", "fmilib"}
WRITERS = {
    "pack_checkpoint",
    "to_bytes",
    "write_partition",
}  # of checkpoints and partitions: nothing deployed calls them
CHANNEL_NEEDS = {"direct": set[str](), "redis": {"redis"}, "s3": {"boto3"}}


def pins(path: Path) -> dict[str, str]:
    """Name and version of each requirement in a file."""
    found = re.findall(r"^([\w.-]+)==([^\s\\]+)", path.read_text(), re.MULTILINE)
    return {name.lower().replace("_", "-"): version for name, version in found}


@pytest.mark.parametrize("pinned", PINNED)
def test_every_pin_has_hashes_and_nothing_else_is_required(pinned: str) -> None:
    text = (ROOT / f"{pinned}.txt").read_text()
    entries = re.split(r"^(?=\w)", re.sub(r"(?m)^\s*#.*\n", "", text), flags=re.MULTILINE)
    for entry in filter(str.strip, entries):
        assert re.match(r"[\w.-]+==\S+ \\\n(\s+--hash=sha256:[0-9a-f]{64}( \\)?\n)+$", entry), entry


@pytest.mark.parametrize("pinned", PINNED)
def test_what_was_asked_for_is_what_was_pinned(pinned: str) -> None:
    asked = pins(ROOT / f"{pinned}.in")
    assert asked.items() <= pins(ROOT / f"{pinned}.txt").items()


@pytest.mark.parametrize("pinned", PINNED)
def test_tests_run_with_the_versions_that_are_deployed(pinned: str) -> None:
    ours = pins(ROOT / "requirements.lock")
    deployed = pins(ROOT / f"{pinned}.txt")
    assert {n: v for n, v in deployed.items() if ours.get(n) != v} == {}


def test_every_runtime_that_is_offered_is_one_that_has_wheels() -> None:
    parameters = read(ROOT / "template.yaml")["Parameters"]
    offered = [v.removeprefix("python") for v in parameters["PythonRuntime"]["AllowedValues"]]
    (asked,) = re.findall(r"^RUNTIMES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert asked.split() == offered


def test_the_image_has_what_its_code_imports() -> None:
    packages = {"numpy", "pydantic", "openvino", "aws-lambda-powertools"}
    assert packages <= distributions("functions/infer/app.py") <= available()


def test_the_image_has_no_arrow() -> None:
    assert "pyarrow" not in available() | distributions("functions/infer/app.py")
    assert "pyarrow" not in pins(ROOT / f"{ARM_IMAGE}.txt")


def test_the_image_for_arm_differs_in_its_engine_alone() -> None:
    common = pins(ROOT / f"{IMAGE}.in").items() & pins(ROOT / f"{ARM_IMAGE}.in").items()
    assert pins(ROOT / f"{IMAGE}.in").keys() - dict(common).keys() == {"openvino"}
    imported = distributions("layers/cosmic/src/cosmic/model/runners/onnx.py", left_out=())
    assert {"onnx", "onnxruntime"} <= imported
    assert imported <= set(pins(ROOT / f"{ARM_IMAGE}.txt")) | RUNTIME_BRINGS


def test_pins_that_both_images_have_are_the_same() -> None:
    here, arm = pins(ROOT / f"{IMAGE}.txt"), pins(ROOT / f"{ARM_IMAGE}.txt")
    assert {n for n in here.keys() & arm.keys() if here[n] != arm[n]} == set()


@pytest.mark.parametrize("channel", CHANNEL_NEEDS)
def test_the_image_has_what_each_channel_of_the_template_imports(channel: str) -> None:
    values = read(ROOT / "template.yaml")["Parameters"]["FmiChannel"]["AllowedValues"]
    assert set(values) - {"auto", "none"} == set(CHANNEL_NEEDS)
    name = {"direct": "tcp", "redis": "store/redis", "s3": "store/s3"}[channel]
    needed = distributions(f"layers/fmilib/src/fmilib/channels/{name}.py")
    assert CHANNEL_NEEDS[channel] <= needed <= available()


def available() -> set[str]:
    return set(pins(ROOT / f"{IMAGE}.txt")) | RUNTIME_BRINGS


LEFT_OUT = ("runners/torch.py", "runners/onnx.py", "model/astromae.py")


def distributions(path: str, left_out: tuple[str, ...] = LEFT_OUT) -> set[str]:
    """Distributions that a file of ours imports, through other files of ours too.

    Imports for the reference engines, which the image leaves out, don't count.
    """
    todo, seen, found = [ROOT / path], set[Path](), set[str]()
    names = packages_distributions()
    while todo:
        file = todo.pop()
        if file in seen or "/".join(file.parts[-2:]) in left_out:
            continue
        seen.add(file)
        for module in imports(file):
            top = module.split(".")[0]
            if top in OURS:
                todo += files(module)
            elif top not in sys.stdlib_module_names:
                found.add(names[top][0].lower().replace("_", "-"))
    return found


def imports(file: Path) -> set[str]:
    """Modules that a file imports when it runs: not for types, not when a checkpoint is written."""
    found = set[str]()
    todo: list[ast.AST] = [ast.parse(file.read_text())]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.FunctionDef) and node.name in WRITERS:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        todo += ast.iter_child_nodes(node)
    return found


def files(module: str) -> list[Path]:
    """Our files that importing a module runs."""
    source = ROOT / "layers" / module.split(".", maxsplit=1)[0] / "src"
    base = source / module.replace(".", "/")
    return [p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()]
