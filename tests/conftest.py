"""What every kind of test may use: a real S3 API, and small partitions made on the spot."""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import numpy as np
import psutil
import pytest
from hypothesis import settings
from moto.server import ThreadedMotoServer
from numpy.typing import NDArray
from xdist.scheduler import LoadScopeScheduling

from cosmic.contracts.location import Location
from cosmic.data.native import write_partition
from cosmic.storage.objects import Store

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

Columns = dict[str, NDArray[Any]]
Measured = Callable[[str], None]


settings.register_profile("cosmic", deadline=None)
settings.load_profile("cosmic")


TESTS = Path(__file__).parent
# What takes longest comes first, or one process would be at it when all others have ended.
LONGEST_FIRST = ("e2e", "docs", "functional", "faults", "policy", "attacks", "property", "fuzz")
# Most of their time these wait for each other's time limits, and share nothing but servers.
APART = {
    "tests/functional/fmilib/test_conformance.py",
    "tests/functional/fmilib/test_death.py",
    "tests/faults/fmilib/test_seeds.py",
}


class FilesTogether(LoadScopeScheduling):  # type: ignore[misc]  # xdist is not typed
    """Hands a process whole files, whose tests share stacks and runs, but tests that wait alone."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return nodeid if path in APART else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesTogether:
    """What decides which process runs which tests, whatever `--dist` says."""
    return FilesTogether(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest kinds of tests come first."""
    places = {kind: place for place, kind in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.relative_to(TESTS).parts[0], len(places)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests measured, whichever process they ran in."""
    for report in terminalreporter.stats.get("passed", []):
        for name, value in report.user_properties:
            if name == "measured":
                terminalreporter.write_line(f"measured: {value}")


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Measured:
    """`measured(text)`: shown at the end of all tests."""
    return lambda text: record_property("measured", text)


@pytest.fixture(scope="session")
def aws_endpoint() -> Iterator[str]:
    """A real HTTP server that speaks AWS's APIs."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def aws(aws_endpoint: str) -> Iterator[Callable[[str], Any]]:
    """Clients of that server by service name."""
    made: list[Any] = []

    def client(service: str) -> Any:
        made.append(
            boto3.client(  # type: ignore[call-overload]
                service,
                endpoint_url=aws_endpoint,
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
        )
        return made[-1]

    yield client
    for c in made:
        c.close()


@pytest.fixture
def s3(aws: Callable[[str], Any]) -> S3Client:
    """An S3 client."""
    client: S3Client = aws("s3")
    return client


@pytest.fixture
def bucket(s3: S3Client) -> str:
    """A bucket of the test's own, with versions."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def store(s3: S3Client) -> Store:
    """The product's view of S3."""
    return Store(s3)


@pytest.fixture
def new_children() -> Callable[[], list[psutil.Process]]:
    """This process's descendants that were not there when the test began."""
    before = set(psutil.Process().children(recursive=True))
    return lambda: [p for p in psutil.Process().children(recursive=True) if p not in before]


@pytest.fixture
def tiny_checkpoint() -> bytes:
    """A file that begins as a checkpoint does and has no weights: good for planning with."""
    metadata = {"format": "cosmic-checkpoint", "version": "1"}
    header = json.dumps({"__metadata__": metadata}).encode()
    return struct.pack("<Q", len(header)) + header


def galaxies(mag: NDArray[Any], size: int) -> NDArray[Any]:
    """Round galaxies (N, 5, size, size) in nanomaggies, as bright as magnitudes (N, 5) say."""
    squared = (np.arange(size) - size / 2) ** 2
    profile = np.exp(-(squared[:, None] + squared) / 8)
    images: NDArray[Any] = 10 ** (0.4 * (22.5 - mag))[:, :, None, None] * profile / profile.sum()
    return images


@pytest.fixture
def make_columns() -> Callable[..., Columns]:
    """Columns of random but plausible objects: `make_columns(rows, seed=0, size=32)`."""

    def make(rows: int, seed: int = 0, size: int = 32) -> Columns:
        draw = np.random.default_rng(seed)
        noise = draw.normal(0, 1, (rows, 5, size, size))
        mag = draw.uniform(15, 20, (rows, 5))
        return {
            "image": (noise + galaxies(mag, size)).astype(np.float32),
            "mag": mag.astype(np.float32),
            "mag_err": draw.uniform(0.01, 0.1, (rows, 5)).astype(np.float32),
            "object_id": draw.integers(1, 1 << 62, rows),
            "ra": draw.uniform(0, 360, rows),
            "dec": draw.uniform(-90, 90, rows),
            "z_spec": draw.uniform(0.02, 0.3, rows).astype(np.float32),
        }

    return make


@pytest.fixture
def put_partition(store: Store, bucket: str, tmp_path: Path) -> Callable[[str, Columns], Location]:
    """Write columns as a native partition and upload it under a key."""

    def put(key: str, columns: Columns) -> Location:
        path = tmp_path / f"{uuid.uuid4().hex}.safetensors"
        write_partition(path, columns)
        at = Location(bucket, key)
        store.put(at, path.read_bytes())
        path.unlink()
        return at

    return put
