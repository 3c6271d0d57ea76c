"""The file system of an image function, laid out from its Dockerfile without building it.

`COPY` of the function's own files is followed; what `RUN` would install is expected in the
environment that the stack runs in.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from cosmic_local.errors import TemplateError

TASK_ROOT = "/var/task"
LEFT_OUT = {"__pycache__", ".git", ".venv"}
VARIABLE = re.compile(r"\$(?:\{(\w+)(?::-([^}]*))?\}|(\w+))")


@dataclass
class Dockerfile:
    """What matters of a Dockerfile's last stage.

    Attributes:
        copies: Sources (relative to the context) and target of each `COPY`.
        command: The `CMD`.
    """

    copies: list[tuple[list[str], str]] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


def parse(path: Path) -> Dockerfile:
    """Read a Dockerfile.

    Raises:
        TemplateError: there is none, or its `CMD` is not a JSON list.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise TemplateError(f"{path} cannot be read: {error.strerror}") from error
    result = Dockerfile()
    variables = {"LAMBDA_TASK_ROOT": TASK_ROOT}
    folder = PurePosixPath(TASK_ROOT)
    for instruction, rest in _instructions(text):
        if instruction == "FROM":
            result, folder = Dockerfile(), PurePosixPath(TASK_ROOT)
        elif instruction in ("ARG", "ENV"):
            variables |= _assignments(_expand(rest, variables))
        elif instruction == "WORKDIR":
            folder = folder / _expand(rest, variables)
        elif instruction in ("COPY", "ADD"):
            _copy(result, _expand(rest, variables), folder)
        elif instruction == "CMD":
            result.command = _command(path, rest)
    return result


def lay_out(dockerfile: Dockerfile, context: Path, root: Path) -> Path:
    """Make the image's `/var/task` and `/opt` of links under a directory.

    Args:
        dockerfile: What is copied where.
        context: The build context.
        root: An empty directory that stands for `/`.

    Returns:
        The directory that stands for `/var/task`.

    Raises:
        TemplateError: a source of a `COPY` does not exist.
    """
    task_root = root / TASK_ROOT.lstrip("/")
    task_root.mkdir(parents=True, exist_ok=True)
    for sources, target in dockerfile.copies:
        if PurePosixPath(target).parts[:2] not in (("/", "var"), ("/", "opt")):
            continue
        place = root / target.lstrip("/")
        for pattern in sources:
            found = sorted(context.glob(pattern.strip("/") or "."))
            if not found:
                raise TemplateError(f"the Dockerfile copies {pattern!r}, which is not in {context}")
            for source in found:
                into = target.endswith("/") or len(sources) > 1 or len(found) > 1
                _link(source, place / source.name if into and source.is_file() else place, root)
    return task_root


def _link(source: Path, target: Path, root: Path) -> None:
    """As `COPY`: a file to its place, a directory's contents into theirs."""
    _directory(target.parent, root)
    if source.is_dir() and target.exists():
        _directory(target, root)
        for child in source.iterdir():
            if child.name not in LEFT_OUT:
                _link(child, target / child.name, root)
        return
    target.unlink(missing_ok=True)
    target.symlink_to(source.resolve())


def _directory(path: Path, root: Path) -> None:
    """A directory of our own, also where a link to the source's was enough so far."""
    if path != root:
        _directory(path.parent, root)
    if path.is_symlink():
        source = path.resolve()
        path.unlink()
        path.mkdir()
        _link(source, path, root)
    else:
        path.mkdir(exist_ok=True)


def _instructions(text: str) -> list[tuple[str, str]]:
    joined = re.sub(r"\\\s*\n", " ", re.sub(r"(?m)^\s*#.*\n?", "", text))
    lines = [line.strip() for line in joined.splitlines() if line.strip()]
    parts = [line.split(None, 1) for line in lines]
    return [(part[0].upper(), part[1] if len(part) > 1 else "") for part in parts]


def _expand(text: str, variables: dict[str, str]) -> str:
    def replace(match: re.Match[str]) -> str:
        name = match.group(1) or match.group(3)
        return variables.get(name, match.group(2) or "")

    return VARIABLE.sub(replace, text)


def _assignments(text: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in shlex.split(text)]
    return {name: value for name, equals, value in pairs if equals}


def _copy(result: Dockerfile, rest: str, folder: PurePosixPath) -> None:
    words = json.loads(rest) if rest.lstrip().startswith("[") else shlex.split(rest)
    flags = [word for word in words if word.startswith("--")]
    if any(flag.startswith("--from") for flag in flags):
        return
    *sources, target = [word for word in words if not word.startswith("--")]
    slash = "/" if target.endswith(("/", ".")) else ""
    result.copies.append((sources, str(folder / target).rstrip("/") + slash))


def _command(path: Path, rest: str) -> list[str]:
    try:
        command = json.loads(rest)
    except ValueError:
        command = None
    if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
        raise TemplateError(f"{path}: CMD {rest} is not a JSON list", hint='CMD ["app.handler"]')
    return command
