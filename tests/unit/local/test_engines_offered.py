"""Which engines a deployment says that its ranks have: those of the image, or those of here."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

from cosmic.contracts.engines import ENGINES
from cosmic_local.__main__ import _offer_engines
from cosmic_local.options import StackOptions
from cosmic_local.template.template import read

ROOT = Path(__file__).parents[3]
TEMPLATE = ROOT / "template.yaml"


def offered(template: Path, **changes: str) -> dict[str, str]:
    parameters: dict[str, str] = {}
    _offer_engines(StackOptions(template, Path("state"), **changes), parameters)  # type: ignore[arg-type]
    return parameters


def test_the_template_names_the_engines_of_the_image() -> None:
    pinned = (ROOT / "functions/infer/requirements.in").read_text()
    installed = [name for name in ENGINES if re.search(rf"^{name}==", pinned, re.MULTILINE)]
    parameter = read(TEMPLATE)["Parameters"]["InferEngines"]
    assert parameter["Default"].split(",") == installed
    every = ",".join(ENGINES)
    assert re.fullmatch(parameter["AllowedPattern"], every)


def test_a_stack_of_processes_has_the_engines_of_its_environment() -> None:
    here = ",".join(name for name in ENGINES if find_spec(name))
    assert offered(TEMPLATE) == {"InferEngines": here}


def test_a_stack_of_containers_has_those_of_the_image() -> None:
    assert offered(TEMPLATE, lambda_endpoint="http://127.0.0.1:1") == {}


def test_a_template_without_engines_is_left_alone(tmp_path: Path) -> None:
    template = tmp_path / "template.yaml"
    template.write_text("Resources: {}\n")
    assert offered(template) == {}
