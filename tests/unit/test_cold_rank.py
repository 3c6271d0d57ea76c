"""What a rank's function imports before it knows what it will do, and how it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import NoRegionError, UnknownServiceError

import fmilib
from cosmic.storage import clients

ROOT = Path(__file__).parents[2]
HEAVY = ("boto3", "s3transfer", "pyarrow", "openvino", "torch", "redis", "cryptography")
UNUSED = ("fmilib.api", "cosmic.contracts.manifest", "cosmic.planning", "cosmic.storage.transfers")
ENVIRONMENT = {
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "POWERTOOLS_METRICS_NAMESPACE": "test",
}


def in_function(code: str, tmp_path: Path) -> str:
    """What code prints in a process that has imported the handler as the runtime does."""
    done = subprocess.run(
        [sys.executable, "-c", f"import app, sys; {code}"],
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path), **ENVIRONMENT},
        cwd=ROOT / "functions/infer",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


@pytest.mark.process
def test_a_rank_starts_without_what_it_may_not_need(tmp_path: Path) -> None:
    names = (*HEAVY, *UNUSED)
    assert in_function(f"print([n for n in {names!r} if n in sys.modules])", tmp_path) == "[]"


@pytest.mark.process
def test_garbage_is_collected_once_all_is_imported(tmp_path: Path) -> None:
    code = "import gc; print(gc.isenabled(), gc.get_freeze_count() > 10_000)"
    assert in_function(code, tmp_path) == "True True"


@pytest.mark.process
def test_weights_are_folded_by_one_thread_unless_said_otherwise(tmp_path: Path) -> None:
    code = (
        "import os; print(os.environ['OPENBLAS_NUM_THREADS'], len(os.listdir('/proc/self/task')))"
    )
    assert in_function(code, tmp_path) == "1 1"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Clients that know nothing but this environment."""
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    clients._session.cache_clear()
    yield
    clients._session.cache_clear()


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("service", clients.SERVICES)
def test_a_client_is_of_the_environments_region(service: str) -> None:
    assert clients.aws_client(service).meta.region_name == "eu-central-1"


@pytest.mark.usefixtures("account")
def test_a_service_that_no_function_talks_to_is_refused() -> None:
    with pytest.raises(UnknownServiceError, match="ec2"):
        clients.aws_client("ec2")


@pytest.mark.usefixtures("account")
def test_without_a_region_there_is_no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(NoRegionError):
        clients.aws_client("secretsmanager")


@pytest.mark.parametrize("name", fmilib.__all__)
def test_fmilib_has_what_it_exports(name: str) -> None:
    assert getattr(fmilib, name).__doc__
    assert name in dir(fmilib)


def test_fmilib_has_no_more() -> None:
    assert sorted(fmilib.HOMES) == fmilib.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        fmilib.nothing  # noqa: B018
