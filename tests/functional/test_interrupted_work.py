"""`cosmic` that is interrupted in the middle of its work: a clear end, and nothing half-written."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from safetensors.numpy import load_file

from cosmic.data.synth.dataset import Sample, write_dataset
from cosmic_local.stack import down
from interrupt_support.command import interrupted_at

ROOT = Path(__file__).parents[2]
ROWS, PER_PARTITION = 48, 16
PREDICT = ("predict", "data", "--out", "out", "--batch-size", "8", "--no-page")


@dataclass(frozen=True)
class Case:
    """A command, the moment of the signal, and the files that may be left in `out`."""

    words: tuple[str, ...]
    event: str
    pattern: str
    number: signal.Signals
    left: frozenset[str] = frozenset()


def files(folder: Path) -> set[str]:
    """The paths of the files in a folder, without those that only mark that it is in use."""
    found = (p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    return {path for path in found if not path.endswith("/lock")}


PARTITIONS = frozenset(f"{n}.safetensors" for n in range(ROWS // PER_PARTITION))
CASES = {
    "synth": Case(
        ("data", "synth", "--objects", str(ROWS), "--per-partition", "16", "--out", "out"),
        *("open", r"out/1\.safetensors wb?$", signal.SIGTERM, PARTITIONS),
    ),
    "pack": Case(
        ("data", "pack", "data", "--out", "out", "--per-partition", "16"),
        *("open", r"1\.safetensors wb?$", signal.SIGINT),
    ),
    "predict while packing": Case(
        PREDICT, "open", r"partitions/0\.safetensors wb?$", signal.SIGTERM
    ),
    "predict between blocks": Case(
        PREDICT,
        *("open", r"shards/\.rank.* wb?$", signal.SIGINT),
        frozenset({"job.json", "plan.json", "0.safetensors", "partitions.index.json"}),
    ),
    "predict while merging": Case(
        PREDICT,
        *("open", r"catalogue[^/]* [wx]", signal.SIGTERM),
        frozenset(
            {"job.json", "plan.json", "0.safetensors", "partitions.index.json"}
            | {"rank-0000-of-0001.npy", "rank-0000-of-0001.json"}
        ),
    ),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "data"
    write_dataset(folder, Sample("catalog", ROWS), PER_PARTITION)
    return folder


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_half_written(tmp_path: Path, data: Path, name: str) -> None:
    case = CASES[name]
    (tmp_path / "data").symlink_to(data)
    interrupted_at(case.event, case.pattern, case.number, *case.words, place=tmp_path)
    out = tmp_path / "out"
    left = {Path(path).name for path in files(out)} if out.exists() else set()
    assert left <= case.left
    for path in out.rglob("*.safetensors"):
        assert load_file(path)["image"].shape[0] in (PER_PARTITION, ROWS)
    assert {path.name for path in tmp_path.iterdir()} <= {"data", "out", "home"}


@pytest.mark.parametrize(
    ("event", "pattern"),
    [("subprocess.Popen", "cosmic_local|python"), ("open", r"stack\.json r")],
    ids=["as it begins", "while it is awaited"],
)
def test_a_stack_that_is_not_ready_ends_with_its_command(
    tmp_path: Path, event: str, pattern: str
) -> None:
    words = ("local", "up", "--template", str(ROOT / "template.yaml"), "--data", "kept")
    place = ("--state-dir", "state")
    interrupted_at(event, pattern, signal.SIGINT, *words, *place, place=tmp_path)
    assert not [p for p in psutil.process_iter() if str(tmp_path) in " ".join(_command(p))]
    assert files(tmp_path / "state") <= {"stack.log"}
    assert not down(tmp_path / "state")


def _command(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
