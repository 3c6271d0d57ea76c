"""From files to a catalogue in one call on this machine: the same rows, whatever stops it."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy.table import Table
from rich.cells import cell_len
from rich.console import Console

import cosmic
from cosmic.contracts.location import Location
from cosmic.contracts.status import State
from cosmic.data.native import write_partition
from cosmic.data.synth.dataset import Sample, rows
from cosmic.errors import InputError, InvalidInput
from cosmic.report.cutout_choice import EACH
from cosmic.workstation.predict import NAME, predict, rows_kept
from cosmic.workstation.shipped_model import CAUTION, SHIPPED
from cosmic.workstation.step import Step
from cosmic.workstation.work_folder import work_folder
from cosmic_cli import main
from cosmic_cli.views.packed import taken_table
from cosmic_cli.views.prediction import prediction_table
from cosmic_cli.views.steps import shown

TESTS = Path(__file__).parents[1]
ROWS = 384
SHARD_ROWS = 128
RESULTS = {"catalogue.fits", "catalogue.parquet", "metrics.json", "report.html"}
Columns = dict[str, Any]


@pytest.fixture(scope="module")
def columns() -> Columns:
    """Galaxies in the order of their files; one lacks a magnitude."""
    found = rows(Sample("catalog", None), 0, ROWS)
    found["mag"][3, 2] = -9999
    return found


@pytest.fixture(scope="module")
def files(columns: Columns, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first rows as FITS by astropy, the others as HDF5 by h5py."""
    place = tmp_path_factory.mktemp("files")
    half = ROWS // 2
    Table({name: c[:half] for name, c in columns.items()}).write(place / "a.fits")
    with h5py.File(place / "b.h5", "w") as file:
        for name, column in columns.items():
            file[name] = column[half:]
    return place


@pytest.fixture(scope="module")
def expected(columns: Columns, tmp_path_factory: pytest.TempPathFactory) -> Table:
    """What the library says of the same rows in one partition."""
    place = tmp_path_factory.mktemp("partitions")
    write_partition(place / "0.safetensors", columns)
    ran = cosmic.run_local(place, SHIPPED, place / "out", threads=1)
    return cosmic.read_catalogue(ran.parquet)


def predicted(files: Any, out: Path, **more: Any) -> cosmic.Prediction:
    return predict(files, out, **{"threads": 1, "shard_rows": SHARD_ROWS, "page": False, **more})


def assert_as_expected(out: Path, expected: Table) -> None:
    """Rows, order and redshifts, bit for bit; where a row lay in its file is another matter."""
    for name in ("catalogue.parquet", "catalogue.fits"):
        found = cosmic.read_catalogue(out / name)
        for column in set(expected.colnames) - {"partition", "row"}:
            np.testing.assert_array_equal(found[column].filled(0), expected[column].filled(0))
            np.testing.assert_array_equal(found[column].mask, expected[column].mask)


@pytest.fixture(scope="module")
def made(
    files: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[cosmic.Prediction, list[Step]]:
    """The folder predicted, and the steps that were told."""
    steps: list[Step] = []
    out = tmp_path_factory.mktemp("home") / "deep/out"
    return predicted(files, out, progress=steps.append, page=True), steps


def test_files_become_the_catalogue_of_their_partitions(made: Any, expected: Table) -> None:
    prediction, _ = made
    assert_as_expected(prediction.out, expected)
    assert {p.name for p in prediction.out.iterdir()} == RESULTS | {"plots"}
    assert prediction.files == {name: prediction.out / name for name in RESULTS}
    assert all(path.stat().st_size > 1000 for path in prediction.plots)
    assert prediction.status.state is State.SUCCEEDED
    assert prediction.status.world_size == 3
    assert (prediction.status.rows_in, prediction.status.rows_out) == (ROWS, ROWS)
    assert prediction.metrics["flags"]["MISSING_BAND"] == 1
    assert json.loads((prediction.out / "metrics.json").read_text()) == prediction.metrics
    assert CAUTION in prediction.status.warnings
    page = (prediction.out / "report.html").read_text()
    assert CAUTION in page
    assert "s3://local" not in page
    assert NAME not in page
    assert page.count("data:image/png;base64") >= 2 * EACH, "the worst, and some at random"


def test_progress_is_told_also_inside_a_shard(made: Any) -> None:
    steps = [step for step in made[1] if step.phase == "predicting"]
    assert all(step.of == ROWS for step in steps)
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, ROWS)
    assert len(set(done)) > 1 + 3, "more often than once a shard"
    assert [s.phase for s in made[1] if s.done == s.of] == ["packing", "predicting", "merging"]


def test_partitions_are_read_where_they_are(
    columns: Columns, expected: Table, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    for i in range(2):
        part = {name: c[i * 192 : (i + 1) * 192] for name, c in columns.items()}
        write_partition(tmp_path / f"in/{i}.safetensors", part)
    made = predicted(tmp_path / "in", tmp_path / "out")
    assert made.packed is None
    found = cosmic.read_catalogue(made.files["catalogue.parquet"])
    np.testing.assert_array_equal(found["object_id"], expected["object_id"])
    np.testing.assert_allclose(found["z_phot"], expected["z_phot"], atol=1e-6)


def test_files_in_s3_are_those_here(
    files: Path, expected: Table, store: Any, bucket: str, s3: Any, tmp_path: Path
) -> None:
    for name in ("a.fits", "b.h5"):
        store.upload(files / name, Location(bucket, f"in/{name}"))
    store.put(Location(bucket, "in/notes.txt"), b"no data")
    steps: list[Step] = []
    predicted(f"s3://{bucket}/in/", tmp_path / "out", client=s3, progress=steps.append)
    assert_as_expected(tmp_path / "out", expected)
    assert [s for s in steps if s.phase == "downloading"][-1].done == sum(
        (files / name).stat().st_size for name in ("a.fits", "b.h5")
    )
    with pytest.raises(InputError, match="nothing to read") as caught:
        predicted(f"s3://{bucket}/none/", tmp_path / "other", client=s3)
    assert caught.value.code == "not-found"
    assert not (tmp_path / "other").exists()


CHILD = """
import os, signal, sys
from pathlib import Path
from cosmic.workstation import predict as module

SHARD_ROWS, number, done = map(int, sys.argv[3:6])

def stop(step):
    if step.phase == sys.argv[6] and step.done >= done:
        os.kill(os.getpid(), number)

module.predict(sys.argv[1], sys.argv[2], threads=1, shard_rows=SHARD_ROWS, progress=stop)
"""


def stopped(files: Path, out: Path, by: signal.Signals, phase: str, done: int) -> int:
    """The exit code of a process that a signal reaches when it has done so much of a phase."""
    words = [files, out, SHARD_ROWS, int(by), done, phase]
    return subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, words)], check=False, capture_output=True
    ).returncode


@pytest.fixture(scope="module")
def killed(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a call leaves that was killed in its second shard."""
    out = tmp_path_factory.mktemp("killed") / "out"
    assert stopped(files, out, signal.SIGKILL, "predicting", SHARD_ROWS + 1) == -signal.SIGKILL
    assert [p.name for p in out.iterdir()] == [NAME]
    return out


def copy_of(folder: Path, to: Path) -> Path:
    subprocess.run(["cp", "-a", folder, to], check=True)  # noqa: S607
    return to / folder.name


def test_what_was_killed_goes_on_without_computing_again_what_is_whole(
    killed: Path, files: Path, expected: Table, tmp_path: Path
) -> None:
    out = copy_of(killed, tmp_path)
    assert rows_kept(out) == (SHARD_ROWS, ROWS)
    steps: list[Step] = []
    predicted(files, out, progress=steps.append)
    assert {s.phase for s in steps} == {"predicting", "merging"}
    assert steps[0].done == SHARD_ROWS
    assert_as_expected(out, expected)
    assert {p.name for p in out.iterdir()} == RESULTS - {"report.html"}


def test_a_damaged_shard_is_computed_again(
    killed: Path, files: Path, expected: Table, tmp_path: Path
) -> None:
    out = copy_of(killed, tmp_path)
    (shard,) = out.glob(f"{NAME}/run/*/shards/*.npy")
    raw = bytearray(shard.read_bytes())
    raw[len(raw) // 2] ^= 1
    shard.write_bytes(raw)
    steps: list[Step] = []
    predicted(files, out, progress=steps.append)
    assert steps[0].done == 0
    assert_as_expected(out, expected)


def test_another_input_model_or_option_is_not_mixed_in(
    killed: Path, files: Path, expected: Table, columns: Columns, tmp_path: Path
) -> None:
    out = copy_of(killed, tmp_path)
    shown = copy_of(files, tmp_path)
    model = tmp_path / "other.safetensors"
    model.write_bytes(SHIPPED.read_bytes().replace(b'"seed": 1', b'"seed": 2'))
    before = sorted(out.rglob("*"))
    for other, options, says in (
        (shown, {}, "a.fits"),
        ([files / "b.h5", files / "a.fits"], {}, "a different order"),
        ([files / "a.fits"], {}, "no longer among"),
        (files, {"model": model}, "--model"),
        (files, {"batch_size": 32}, "inference"),
        (files, {"check_pixels": False}, "--unchecked-pixels"),
    ):
        with pytest.raises(InvalidInput, match=says) as caught:
            predicted(other, out, **options)
        assert "--restart" in str(caught.value)
        assert sorted(out.rglob("*")) == before
    os.utime(files / "a.fits")
    with pytest.raises(InvalidInput, match="has changed since"):
        predicted(files, out)
    predicted(files, out, restart=True)
    assert_as_expected(out, expected)


def test_ctrl_c_while_files_are_packed_leaves_nothing(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "new/out"
    assert stopped(files, out, signal.SIGINT, "packing", 1) == -signal.SIGINT
    assert list(tmp_path.iterdir()) == []


def test_what_was_killed_while_packing_begins_anew(
    files: Path, expected: Table, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert stopped(files, out, signal.SIGKILL, "packing", 1) == -signal.SIGKILL
    assert rows_kept(out) == (0, 0)
    predicted(files, out)
    assert_as_expected(out, expected)


def broken(tmp_path: Path, columns: Columns) -> dict[str, tuple[Any, Any, str]]:
    """Input, model and what is said of it, by what is wrong."""
    few = {name: c[:8] for name, c in columns.items()}
    good, no_mag, dim = (tmp_path / f"{n}.fits" for n in ("good", "no_mag", "dim"))
    Table(few).write(good)
    Table({n: c for n, c in few.items() if n != "mag"}).write(no_mag)
    Table({**few, "image": few["image"] / 100}).write(dim)
    small = tmp_path / "small.fits"
    Table({**few, "image": few["image"][:, :, 8:24, 8:24]}).write(small)
    text = tmp_path / "model.safetensors"
    text.write_text("no checkpoint")
    return {
        "no magnitudes": (no_mag, SHIPPED, "mag"),
        "pixels in another unit": (dim, SHIPPED, "100"),
        "cutouts too small for the model": (
            small,
            SHIPPED,
            rf"{SHIPPED.name}: images of 16 x 16 pixels in {small}, but the model takes 32 x 32",
        ),
        "no such file": (tmp_path / "none.fits", SHIPPED, "does not exist"),
        "no format": (text.with_suffix(".doc"), SHIPPED, "does not exist"),
        "no model": (good, text, "checkpoint"),
        "model not there": (good, tmp_path / "none", "does not exist"),
    }


@pytest.mark.parametrize(
    "what",
    ["no magnitudes", "pixels in another unit", "cutouts too small for the model", "no such file",
     "no format", "no model", "model not there"],
)  # fmt: skip
def test_bad_input_is_refused_and_nothing_is_left(
    what: str, columns: Columns, tmp_path: Path
) -> None:
    given, model, says = broken(tmp_path, columns)[what]
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=says):
        predicted(given, tmp_path / "new/out", model=model)
    assert sorted(tmp_path.rglob("*")) == before


def test_all_files_that_are_not_there_are_named_at_once(files: Path, tmp_path: Path) -> None:
    given = [files / "a.fits", tmp_path / "x.fits", tmp_path / "y.h5"]
    with pytest.raises(InvalidInput) as caught:
        predicted(given, tmp_path / "out")
    assert [p.pointer for p in caught.value.problems] == [str(path) for path in given[1:]]


def test_results_are_not_written_over(made: Any, files: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"catalogue\.parquet") as caught:
        predicted(files, made[0].out)
    assert caught.value.code == "not-empty"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        predicted(files, tmp_path / "file")


def test_two_at_once_do_not_share_a_folder(files: Path, tmp_path: Path) -> None:
    with work_folder(tmp_path / "out" / NAME) as work:
        with pytest.raises(InputError, match="another process") as caught:
            predicted(files, tmp_path / "out")
        assert caught.value.code == "in-use"
        assert work.root.is_dir()


COMMAND = """
import os, signal, sys
from cosmic.workstation import predict as module
from cosmic.workstation.step import Step
from cosmic_cli.views import steps
from cosmic_cli.main import run

class Stopping(steps._Lines):
    def __call__(self, step: Step) -> None:
        super().__call__(step)
        if step.phase == "predicting" and step.done:
            os.kill(os.getpid(), signal.SIGINT)

if os.environ.get("STOP"):
    steps._Lines = Stopping
run()
"""


def command(*words: Any, **environment: str) -> subprocess.CompletedProcess[str]:
    """`cosmic predict`, which Ctrl-C reaches while it predicts if it is told so."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, "predict", *map(str, words)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_ctrl_c_says_how_to_go_on_and_the_command_does(
    files: Path, expected: Table, tmp_path: Path
) -> None:
    words = (files, "--out", tmp_path / "my out", "--threads", 1)
    done = command(*words, STOP="1")
    assert done.returncode == 130, done.stderr
    assert done.stdout == ""
    assert f"of {ROWS} rows are predicted and kept" in done.stderr
    assert (
        f"`cosmic predict {files} --out '{tmp_path}/my out' --threads 1` continues" in done.stderr
    )
    assert [p.name for p in (tmp_path / "my out").iterdir()] == [NAME]
    done = command(*words, "--json", "--no-page")
    assert done.returncode == 0, done.stderr
    assert "is not meant for science" in done.stderr
    document = json.loads(done.stdout)
    assert document["status"]["rows_out"] == ROWS
    assert document["sources"] is None
    assert_as_expected(tmp_path / "my out", expected)


@pytest.mark.parametrize("width", [60, 80])
def test_what_is_shown_fits_the_terminal(made: Any, width: int) -> None:
    shown_text = io.StringIO()
    console = Console(width=width, force_terminal=True, file=shown_text, legacy_windows=False)
    with shown(console) as told:
        for step in (Step("downloading", 1 << 40, 1 << 41), *made[1]):
            told(step)
    console.print(taken_table(made[0].packed))
    console.print(prediction_table(made[0]))
    lines = re.split(r"[\r\n]", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown_text.getvalue()))
    assert max(map(cell_len, lines)) <= width
    assert any(line.startswith("predicting") and "%" in line for line in lines)
    assert any(f"{ROWS:,}, " in line for line in lines)
    assert any("MISSING_BAND" in line for line in lines)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """`cosmic predict` in this process; its exit code."""

    def call(*words: Any) -> int:
        monkeypatch.setattr(sys, "argv", ["cosmic", "predict", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main.run()
        return int(str(ended.value.code))

    return call


def test_bad_input_ends_the_command_with_2(
    here: Callable[..., int],
    tmp_path: Path,
    columns: Columns,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Table({"image": columns["image"][:4]}).write(tmp_path / "x.fits")
    assert here(tmp_path / "x.fits", "--out", tmp_path / "out", "--json") == 2
    error = json.loads(capsys.readouterr().err.splitlines()[-1])["error"]
    assert any("mag" in problem["message"] for problem in error["problems"])
    assert not (tmp_path / "out").exists()


def test_columns_are_chosen_as_pack_chooses_them(
    here: Callable[..., int],
    columns: Columns,
    expected: Table,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    Table({"theirs" if n == "mag" else n: c for n, c in columns.items()}).write(tmp_path / "x.fits")
    words = (tmp_path / "x.fits", "--out", tmp_path / "out", "--threads", 1, "--no-page")
    assert here(*words, "--column", "mag=theirs") == 0
    assert "theirs of HDU 1" in capsys.readouterr().out
    assert_as_expected(tmp_path / "out", expected)


def test_the_shipped_model_is_that_of_the_project() -> None:
    project = TESTS.parent / "models/tiny/astromae-tiny.safetensors"
    assert SHIPPED.read_bytes() == project.read_bytes(), f"copy {project} to {SHIPPED}"


def test_a_prediction_needs_neither_boto3_nor_a_plotting_library(
    files: Path, tmp_path: Path
) -> None:
    code = (
        "import sys; from cosmic_cli.main import run\n"
        "try: run()\n"
        "finally: print(sorted({'boto3', 'botocore', 'fmilib.api', 'matplotlib'} & {*sys.modules}))"
    )
    command = [sys.executable, "-c", code, "predict", str(files), "--out", str(tmp_path / "z")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert len([*(tmp_path / "z" / "plots").iterdir()]) > 2
