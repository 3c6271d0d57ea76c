"""The checks themselves: nothing is silenced without a reason, and all of them are run."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from cosmic_local.template.image import parse

from .conftest import ROOT


def test_each_suppression_of_checkov_has_its_reason() -> None:
    text = (ROOT / ".checkov.yaml").read_text()
    skipped = yaml.safe_load(text)["skip-check"]
    reasons = dict(re.findall(r"^  - (CKV\w+)  # (\S.{20,})$", text, re.MULTILINE))
    assert sorted(reasons) == sorted(skipped) == sorted(set(skipped))


def test_every_template_is_checked() -> None:
    templates = {
        str(path.relative_to(ROOT))
        for pattern in ("template.yaml", "infra/*/template.yaml")
        for path in ROOT.glob(pattern)
    }
    checkov = yaml.safe_load((ROOT / ".checkov.yaml").read_text())["file"]
    (listed,) = re.findall(r"^TEMPLATES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert templates == set(listed.split()) == {p for p in checkov if p.endswith(".yaml")}


def test_the_build_of_the_image_sees_what_it_copies_and_nothing_else() -> None:
    copies = parse(ROOT / "functions/infer/Dockerfile").copies
    copied = {source for sources, _ in copies for source in sources}
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignore[0] == "*"
    assert {line.removeprefix("!") for line in ignore if line.startswith("!")} == copied


def test_the_image_has_the_bytecode_of_all_source_that_is_copied_into_it() -> None:
    text = (ROOT / "functions/infer/Dockerfile").read_text().replace("\\\n", " ")
    (step,) = re.findall(r"^RUN python -m compileall (.*)$", text, re.MULTILINE)
    packages = {
        Path(source).name for source in re.findall(r"^COPY (layers/\S+)", text, re.MULTILINE)
    }
    compiled = set(re.findall(r"\$\{LAMBDA_TASK_ROOT\}/([^\"]+)", step))
    assert compiled == packages | {"app.py"}
    assert "--invalidation-mode unchecked-hash" in step  # whatever time the files seem to be of
