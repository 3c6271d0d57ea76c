"""A stand-in for AWS's Python base image, made of a Python of this machine.

No registry can be reached from a test. The stand-in has what `sam` and a Dockerfile rely on: the
entry point, AWS's runtime client and interface emulator, pip, boto3, and the folders. It is named
after the Python that it holds; the C library is this machine's. Wheels lie in `/wheels`, since
there is no network while an image is built.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from container_lab.interpreter import Interpreter

# Compiled, so they come as wheels for the Python of the image; the others are any Python's.
RUNTIME_CLIENT = ("awslambdaric", "simplejson")
RUNTIME_BRINGS = (
    *("snapshot_restore_py", "boto3", "botocore", "s3transfer"),
    *("jmespath", "dateutil", "urllib3", "six"),
)
PROGRAMS = ("sh", "bash", "cat", "chmod", "cp", "env", "id", "ls", "mkdir", "mv", "rm")
LIBRARIES = (
    *("libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "libresolv.so.2"),
    *("librt.so.1", "libstdc++.so.6", "libutil.so.1", "libz.so.1"),
)
NOT_OF_STDLIB = ("site-packages", "dist-packages", "test", "tests", "idlelib", "__pycache__")
BOOTSTRAP = """#!/bin/sh
export PYTHONPATH=/opt/python:/var/runtime
cd /var/task
exec /var/lang/bin/python3 -m awslambdaric "$_HANDLER"
"""
ENTRYPOINT = """#!/bin/sh
export _HANDLER="$1"
if [ -n "$AWS_LAMBDA_RUNTIME_API" ]; then exec /var/runtime/bootstrap; fi
exec /usr/local/bin/aws-lambda-rie /var/runtime/bootstrap
"""
CHANGES = (
    'ENTRYPOINT ["/lambda-entrypoint.sh"]',
    "WORKDIR /var/task",
    "ENV LAMBDA_TASK_ROOT=/var/task LAMBDA_RUNTIME_DIR=/var/runtime LANG=C.UTF-8",
    "ENV PATH=/var/lang/bin:/usr/local/bin:/usr/bin:/bin PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels",
)


def base_name(python: Interpreter) -> str:
    """What AWS calls its image with that Python."""
    return f"public.ecr.aws/lambda/python:{python.version}"


def make_base(root: Path, python: Interpreter, wheels: Path, emulator: Path) -> None:
    """Lay out the stand-in's file system.

    Args:
        root: An empty folder that becomes `/`.
        python: What it holds.
        wheels: Folder of wheels for that Python, the runtime client's among them.
        emulator: AWS's runtime interface emulator, as aws-sam-cli ships it.
    """
    for folder in ("bin", "dev", "opt", "proc", "sys", "tmp", "usr/bin", "var/rapid", "var/task"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    shutil.copytree(wheels, root / "wheels")
    _python(python, root / "var/lang")
    _runtime_client(python, wheels, root / "var/runtime")
    for name in RUNTIME_BRINGS:
        _package(name, root / "var/runtime")
    _install(emulator, root / "usr/local/bin/aws-lambda-rie")
    _write(root / "var/runtime/bootstrap", BOOTSTRAP)
    _write(root / "lambda-entrypoint.sh", ENTRYPOINT)
    _write(root / "etc/passwd", "root:x:0:0::/:/bin/sh\nsandbox:x:993:993::/:/bin/sh\n")
    _write(root / "etc/nsswitch.conf", "hosts: files dns\n")
    for name in PROGRAMS:
        _install(Path(_tool(name)), root / "bin" / name)
    _libraries(root)


def import_base(engine_docker: Iterable[str], root: Path, tags: Iterable[str]) -> None:
    """Give the file system to an engine, under the names that are asked for.

    Args:
        engine_docker: How the engine's `docker` is called.
        root: The file system.
        tags: Names of the image.
    """
    docker, (first, *others) = list(engine_docker), tags
    changes = [word for change in CHANGES for word in ("--change", change)]
    with subprocess.Popen([_tool("tar"), "-C", root, "-c", "."], stdout=subprocess.PIPE) as packed:
        subprocess.run(
            [*docker, "import", *changes, "-", first],
            stdin=packed.stdout,
            stdout=subprocess.DEVNULL,
            check=True,
        )
    for tag in others:
        subprocess.run([*docker, "tag", first, tag], check=True)


def _tool(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert found, f"{name} is not on this machine"
    return found


def _python(python: Interpreter, prefix: Path) -> None:
    target = prefix / "lib" / python.stdlib.name
    ignore = shutil.ignore_patterns(*NOT_OF_STDLIB, "config-*", "*.a")
    shutil.copytree(python.stdlib, target, ignore=ignore)
    program = f"python{python.version}"
    _install(python.program, prefix / "bin" / program)
    for name in ("python", "python3"):
        (prefix / "bin" / name).symlink_to(program)
    _package("pip", target / "site-packages")
    _write(prefix / "bin/pip", '#!/bin/sh\nexec /var/lang/bin/python3 -m pip "$@"\n')


def _runtime_client(python: Interpreter, wheels: Path, site: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--no-deps"),
            *("--no-index", "--find-links", wheels, "--only-binary=:all:"),
            *("--target", site, "--python-version", python.version, *RUNTIME_CLIENT),
        ],
        check=True,
        capture_output=True,
    )


def _package(name: str, site: Path) -> None:
    spec = importlib.util.find_spec(name)
    assert spec, f"{name} is not installed"
    assert spec.origin
    origin = Path(spec.origin)
    if origin.stem == "__init__":
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(origin.parent, site / name, ignore=ignore)
    else:
        _install(origin, site / origin.name)


def _install(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source.resolve(), target)


def _write(path: Path, text: str, mode: int = 0o755) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


def _libraries(root: Path) -> None:
    """Every shared library that something in there asks for, and those that wheels may expect."""
    files = [p for p in root.rglob("*") if p.is_file() and not p.is_symlink()]
    programs = [p for p in files if _is_program(p)]
    wanted = {library for program in programs for library in _needs(program)}
    wanted = {library for library in wanted if not library.startswith(str(root))}
    cache = subprocess.run([_tool("ldconfig"), "-p"], capture_output=True, text=True, check=True)
    for name in LIBRARIES:
        found = re.search(rf"{re.escape(name)} .*x86-64.*=> (\S+)", cache.stdout)
        wanted |= {found[1], *_needs(Path(found[1]))} if found else set()
    for library in wanted:
        _install(Path(library), root / library.lstrip("/"))


def _is_program(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _needs(program: Path) -> list[str]:
    """Absolute paths of the libraries that the loader finds for a program."""
    done = subprocess.run([_tool("ldd"), program], capture_output=True, text=True, check=False)
    return re.findall(r"(/\S+) \(0x", done.stdout)
