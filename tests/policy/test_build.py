"""What SAM makes of the template: built for what it ships, small enough, and able to run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from container_lab.interpreter import SHIPPED, Interpreter, own, shipped

pytestmark = pytest.mark.timeout(400)
Measured = Callable[[str], None]
ROOT = Path(__file__).parents[2]
LAMBDA_LIMIT_BYTES = 250 * 1024 * 1024
UNCHECKED = b"\1\0\0\0"  # PEP 552: of the source's hash, which isn't looked at
RUNTIME_PROVIDES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")


def run(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(w) for w in words],
        cwd=ROOT,
        env={
            **os.environ,
            "AWS_DEFAULT_REGION": "us-east-1",
            "SAM_CLI_TELEMETRY": "0",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )


Folders = dict[str, list[Path]]


def build(folder: Path, *options: str) -> Folders:
    """Folders on the path of each zip function, as `make build` makes them."""
    python = shipped() or own()
    path = os.pathsep.join([str(Path(python.program).parent), os.environ["PATH"]])
    done = run("make", "build", f"BUILD_DIR={folder}", *options, PATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    layers = [folder / f"{name}Layer/python" for name in ("Cosmic", "Dependencies")]
    return {
        "init": [folder / "InitFunction", *layers],
        "aggregate": [folder / "AggregateFunction", *layers, folder / "FiguresLayer/python"],
    }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """What is deployed."""
    return build(tmp_path_factory.mktemp("built"))


class Runnable(NamedTuple):
    """A build, and a Python that its compiled modules are for."""

    python: Interpreter
    folders: Folders


@pytest.fixture(scope="module")
def runnable(built: Folders, tmp_path_factory: pytest.TempPathFactory) -> Runnable:
    """What is deployed, if its Python is on this machine; else the same built for this one."""
    if python := shipped():
        return Runnable(python, built)
    python = own()
    folder = tmp_path_factory.mktemp("built")
    return Runnable(python, build(folder, f"RUNTIME=python{python.version}"))


def folder_bytes(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("name", ["init", "aggregate"])
def test_a_zip_function_with_its_layers_fits(built: Folders, name: str, measured: Measured) -> None:
    size = sum(folder_bytes(folder) for folder in built[name])
    measured(f"{name} with its layers: {size / 2**20:.0f} MiB unzipped")
    assert size < LAMBDA_LIMIT_BYTES


@pytest.mark.parametrize("name", ["init", "aggregate"])
def test_every_compiled_module_is_for_the_python_that_is_shipped(built: Folders, name: str) -> None:
    tag = f"cpython-{SHIPPED.replace('.', '')}-x86_64-linux-gnu"
    modules = [p.name for folder in built[name] for p in folder.rglob("*.cpython-*.so")]
    assert len(modules) > 20
    assert [m for m in modules if tag not in m] == []


@pytest.mark.parametrize("name", ["init", "aggregate"])
def test_layers_have_bytecode_that_is_used_whenever_they_were_unpacked(
    runnable: Runnable, name: str
) -> None:
    _, *layers = runnable.folders[name]
    tag = f"cpython-{runnable.python.version.replace('.', '')}"
    sources = [p for layer in layers for p in layer.rglob("*.py")]
    compiled = [p.parent / "__pycache__" / f"{p.stem}.{tag}.pyc" for p in sources]
    assert [p for p in compiled if not p.is_file()] == []
    assert {p.read_bytes()[4:8] for p in compiled} == {UNCHECKED}


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """A folder with what Lambda's Python runtime brings, and nothing else of this environment."""
    for name in RUNTIME_PROVIDES:
        spec = importlib.util.find_spec(name)
        assert spec
        assert spec.origin
        origin = Path(spec.origin)
        source = origin.parent if origin.name == "__init__.py" else origin
        (tmp_path / source.name).symlink_to(source)
    return tmp_path


def run_built(runnable: Runnable, name: str, runtime: Path, code: str) -> str:
    path = os.pathsep.join(str(p) for p in (*runnable.folders[name], runtime))
    done = run(
        runnable.python.program,
        "-S",
        "-c",
        code,
        PYTHONPATH=path,
        COSMIC_STATE_MACHINE_ARN="arn:aws:states:us-east-1:123456789012:stateMachine:x",
        COSMIC_INFER_FUNCTION="infer",
        COSMIC_INFER_MEMORY_MB="1769",
        COSMIC_MAX_WORLD_SIZE="10",
        AWS_ACCESS_KEY_ID="x",
        AWS_SECRET_ACCESS_KEY="x",
        TMPDIR=str(runtime),  # where no other process has left what the function would sweep
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(("name", "heavy"), [("init", "pyarrow"), ("aggregate", "jinja2")])
def test_a_built_function_starts_without_what_is_heavy(
    runnable: Runnable, runtime: Path, name: str, heavy: str
) -> None:
    code = (
        "import app, sys; "
        f"print('torch' in sys.modules, {heavy!r} in sys.modules, callable(app.handler))"
    )
    assert run_built(runnable, name, runtime, code).split() == ["False", "False", "True"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["init", "aggregate"])
def test_a_cold_import_is_measured_beside_bare_boto3(
    runnable: Runnable, runtime: Path, name: str, measured: Measured
) -> None:
    code = "import time; t = time.monotonic(); import {}; print(time.monotonic() - t)"
    bare_s, ours_s = (
        min(float(run_built(runnable, name, runtime, code.format(module))) for _ in range(3))
        for module in ("boto3", "app")
    )
    measured(
        f"cold import of {name} in Python {runnable.python.version}: "
        f"{ours_s / bare_s:.1f} times that of bare boto3"
    )


def test_the_built_layer_writes_catalogues(
    runnable: Runnable, runtime: Path, tmp_path: Path
) -> None:
    code = f"""
from pathlib import Path
import pyarrow.parquet as pq
from cosmic.contracts.catalogue_schema import SCHEMA
from cosmic.results.catalogue_files import CatalogueWriter
from cosmic.storage.local import LocalOutput
folder, origin = Path({str(tmp_path)!r}), {{"cosmic.run": "x"}}
with LocalOutput(folder / "c.parquet") as parquet, LocalOutput(folder / "c.fits") as fits:
    with CatalogueWriter(parquet, fits, origin) as writer:
        writer.write(SCHEMA.empty_table())
        writer.finish(origin)
print(pq.read_table(folder / "c.parquet").num_columns, (folder / "c.fits").stat().st_size > 0)
"""
    assert run_built(runnable, "aggregate", runtime, code).split() == ["28", "True"]


def test_the_built_layers_draw_the_page(runnable: Runnable, runtime: Path, tmp_path: Path) -> None:
    code = f"""
import sys; sys.path.append({str(ROOT / "tests")!r})
from pathlib import Path
from report_support.samples import sample
from cosmic.report.render import make_page
import app
print("jinja2" in sys.modules, make_page(sample(2, 500), Path({str(tmp_path)!r}), 100))
"""
    expected = ["False", str(tmp_path / "report.html")]
    assert run_built(runnable, "aggregate", runtime, code).split() == expected
