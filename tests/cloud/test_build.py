"""What SAM makes of the template: built, small enough, and able to run."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(400)
Measured = Callable[[str], None]
ROOT = Path(__file__).parents[2]
LAMBDA_LIMIT_BYTES = 250 * 1024 * 1024
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


@pytest.fixture(scope="module")
def built() -> dict[str, list[Path]]:
    """Folders on the path of each zip function, as `make build` made them for this Python."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    done = run("make", "build", f"RUNTIME={version}")
    assert done.returncode == 0, done.stdout + done.stderr
    return {
        name: [
            ROOT / f".aws-sam/{name}/{name.capitalize()}Function",
            ROOT / f".aws-sam/{name}/CosmicLayer/python",
            ROOT / f".aws-sam/{name}/DependenciesLayer/python",
            *([ROOT / ".aws-sam/aggregate/FiguresLayer/python"] if name == "aggregate" else []),
        ]
        for name in ("init", "aggregate")
    }


def folder_bytes(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("name", ["init", "aggregate"])
def test_a_zip_function_with_its_layers_fits(
    built: dict[str, list[Path]], name: str, measured: Measured
) -> None:
    size = sum(folder_bytes(folder) for folder in built[name])
    measured(f"{name} with its layers: {size / 2**20:.0f} MiB unzipped")
    assert size < LAMBDA_LIMIT_BYTES


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


def run_built(folders: list[Path], runtime: Path, code: str) -> str:
    path = os.pathsep.join(str(p) for p in (*folders, runtime))
    done = run(
        sys.executable,
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
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["init", "aggregate"])
def test_a_built_function_imports_without_torch(
    built: dict[str, list[Path]], runtime: Path, name: str
) -> None:
    code = "import app, sys; print('torch' in sys.modules, callable(app.handler))"
    assert run_built(built[name], runtime, code).split() == ["False", "True"]


@pytest.mark.parametrize("name", ["init", "aggregate"])
def test_a_cold_import_is_measured_beside_bare_boto3(
    built: dict[str, list[Path]], runtime: Path, name: str, measured: Measured
) -> None:
    code = "import time; t = time.monotonic(); import {}; print(time.monotonic() - t)"
    bare_s, ours_s = (
        min(float(run_built(built[name], runtime, code.format(module))) for _ in range(3))
        for module in ("boto3", "app")
    )
    measured(f"cold import of {name}: {ours_s / bare_s:.1f} times that of bare boto3")


def test_init_starts_without_pyarrow(built: dict[str, list[Path]], runtime: Path) -> None:
    code = "import app, sys; print('pyarrow' in sys.modules)"
    assert run_built(built["init"], runtime, code).strip() == "False"


def test_the_built_layer_writes_catalogues(
    built: dict[str, list[Path]], runtime: Path, tmp_path: Path
) -> None:
    code = f"""
from pathlib import Path
import pyarrow.parquet as pq
from cosmic.catalogue import SCHEMA
from cosmic.catalogue_files import CatalogueWriter
folder = Path({str(tmp_path)!r})
with CatalogueWriter(folder / "c.parquet", folder / "c.fits") as writer:
    writer.write(SCHEMA.empty_table())
    writer.finish({{"cosmic.run": "x"}})
print(pq.read_table(folder / "c.parquet").num_columns, (folder / "c.fits").stat().st_size > 0)
"""
    assert run_built(built["aggregate"], runtime, code).split() == ["19", "True"]


def test_the_built_layers_draw_the_page(
    built: dict[str, list[Path]], runtime: Path, tmp_path: Path
) -> None:
    code = f"""
import sys; sys.path.append({str(ROOT / "tests")!r})
from pathlib import Path
from report_support.samples import sample
from cosmic.report.making import make_page
import app
print("matplotlib" in sys.modules, make_page(sample(2, 500), Path({str(tmp_path)!r}), 100))
"""
    expected = ["False", str(tmp_path / "report.html")]
    assert run_built(built["aggregate"], runtime, code).split() == expected
