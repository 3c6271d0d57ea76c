"""An image function's file system, from its Dockerfile."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosmic_local.errors import TemplateError
from cosmic_local.template.image import lay_out, parse

DOCKERFILE = """\
# syntax=docker/dockerfile:1
FROM python:3.13 AS build
COPY nothing /nowhere
CMD ["wrong.handler"]

FROM public.ecr.aws/lambda/python:3.13
ARG WHERE=${LAMBDA_TASK_ROOT}/lib
ENV OTHER=x \\
    MORE=y
COPY --from=build /x /var/task/
RUN pip install \\
    --no-cache-dir torch
COPY requirements.txt /tmp/
COPY --chmod=644 app.py extra.py ${LAMBDA_TASK_ROOT}/
COPY app.py ${LAMBDA_TASK_ROOT}/renamed.py
COPY lib/ $WHERE/
COPY more/ ${WHERE}
COPY extra.py /var/task/lib/pkg/deep.py
COPY ["lib", "/opt/python/"]
WORKDIR sub
COPY app.py .
CMD [ "app.handler" ]
"""


@pytest.fixture
def context(tmp_path: Path) -> Path:
    for name in ("app.py", "extra.py", "requirements.txt", "lib/pkg/a.py", "more/pkg/b.py"):
        path = tmp_path / "context" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "context" / "Dockerfile").write_text(DOCKERFILE)
    return tmp_path / "context"


def test_files_are_where_the_image_would_have_them(context: Path, tmp_path: Path) -> None:
    dockerfile = parse(context / "Dockerfile")
    task = lay_out(dockerfile, context, tmp_path / "root")
    assert dockerfile.command == ["app.handler"]
    assert task == tmp_path / "root" / "var" / "task"
    found = {
        str(path.relative_to(tmp_path / "root")): path.read_text()
        for pattern in ("var/task/*.py", "var/task/*/*.py", "var/task/lib/pkg/*", "opt/python/*/*")
        for path in (tmp_path / "root").glob(pattern)
    }
    assert found == {
        "var/task/app.py": "app.py",
        "var/task/extra.py": "extra.py",
        "var/task/renamed.py": "app.py",
        "var/task/sub/app.py": "app.py",
        "var/task/lib/pkg/a.py": "lib/pkg/a.py",
        "var/task/lib/pkg/b.py": "more/pkg/b.py",
        "var/task/lib/pkg/deep.py": "extra.py",
        "opt/python/pkg/a.py": "lib/pkg/a.py",
    }


def test_the_source_is_not_written_to(context: Path, tmp_path: Path) -> None:
    before = sorted(context.rglob("*"))
    lay_out(parse(context / "Dockerfile"), context, tmp_path / "root")
    assert sorted(context.rglob("*")) == before


def test_a_missing_source_is_named(context: Path, tmp_path: Path) -> None:
    (context / "extra.py").unlink()
    with pytest.raises(TemplateError, match=r"copies 'extra\.py', which is not in"):
        lay_out(parse(context / "Dockerfile"), context, tmp_path / "root")


def test_a_command_in_shell_form_is_refused(context: Path) -> None:
    (context / "Dockerfile").write_text("FROM x\nCMD app.handler\n")
    with pytest.raises(TemplateError, match="not a JSON list"):
        parse(context / "Dockerfile")
