"""The engine: same bits everywhere, flags for everything that is not as it should be."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cosmic.contracts.engines import ENGINES
from cosmic.contracts.flags import Flag
from cosmic.contracts.vcpus import threads_for_memory
from cosmic.errors import InputError
from cosmic.model.checkpoint import load_checkpoint
from cosmic.model.engine import Engine, Predictions
from cosmic.model.graph import Array

Batch = tuple[NDArray[np.float32], NDArray[np.float32]]

OTHER_PROCESS = """
import sys
from pathlib import Path
import numpy as np
from cosmic.model.checkpoint import load_checkpoint
from cosmic.model.engine import Engine
folder = Path(sys.argv[1])
engine = Engine(load_checkpoint(folder / "m.safetensors"), int(sys.argv[2]), name=sys.argv[3])
image, mag = np.load(folder / "image.npy"), np.load(folder / "mag.npy")
sys.stdout.buffer.write(engine.predict(image, mag).z_phot.tobytes())
"""


@pytest.fixture(params=ENGINES)
def engine(checkpoint_bytes: bytes, request: pytest.FixtureRequest) -> Engine:
    return Engine(load_checkpoint(checkpoint_bytes), 1, name=request.param)


@pytest.mark.process
@pytest.mark.parametrize(
    ("name", "threads"),
    [
        ("openvino", 1),
        ("openvino", 2),
        pytest.param("torch", 2, marks=pytest.mark.long),
        pytest.param("onnxruntime", 2, marks=pytest.mark.long),
    ],
)
def test_a_batch_gives_the_same_bits_in_every_process(
    checkpoint_bytes: bytes, batch: Batch, tmp_path: Path, name: str, threads: int
) -> None:
    (tmp_path / "m.safetensors").write_bytes(checkpoint_bytes)
    np.save(tmp_path / "image.npy", batch[0])
    np.save(tmp_path / "mag.npy", batch[1])
    run = [sys.executable, "-c", OTHER_PROCESS, str(tmp_path), str(threads), name]
    there = {subprocess.run(run, check=True, capture_output=True).stdout for _ in range(2)}
    here = Engine(load_checkpoint(checkpoint_bytes), threads, name=name)
    here.warm_up()
    here.predict(batch[0][:5], batch[1][:5])
    assert there == {here.predict(*batch).z_phot.tobytes()}


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_the_number_of_threads_does_not_change_a_bit(
    checkpoint_bytes: bytes, batch: Batch, name: str
) -> None:
    one, three = (
        Engine(load_checkpoint(checkpoint_bytes), threads, name=name).predict(*batch)
        for threads in (1, 3)
    )
    for column, other in zip(vars(one).values(), vars(three).values(), strict=True):
        assert column.tobytes() == other.tobytes()


@pytest.mark.parametrize("name", ENGINES)
def test_many_threads_may_ask_at_once(checkpoint_bytes: bytes, batch: Batch, name: str) -> None:
    engine = Engine(load_checkpoint(checkpoint_bytes), 2, name=name)
    shifted = [(batch[0] + n, batch[1]) for n in range(8)]
    expected = [engine.predict(*one).z_phot for one in shifted]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            found = pool.map(lambda one: engine.predict(*one).z_phot, shifted)
            np.testing.assert_array_equal(list(found), expected)


@pytest.mark.parametrize(("name", "streams"), [("openvino", 2), ("onnxruntime", 2), ("torch", 1)])
def test_as_many_batches_are_computed_at_once_as_there_are_streams(
    checkpoint_bytes: bytes, batch: Batch, name: str, streams: int
) -> None:
    engine = Engine(load_checkpoint(checkpoint_bytes), 2, name=name)
    assert engine.streams == streams
    together, lock, run = threading.Barrier(streams), threading.Lock(), engine._runner.run
    now, most = 0, 0

    def counted(image: Array, mag: Array) -> Array:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait(20)
        z = run(image, mag)
        with lock:
            now -= 1
        return z

    engine._runner.run = counted  # type: ignore[method-assign]
    assert len(list(engine.abreast(lambda _: engine.predict(*batch), range(6)))) == 6
    assert most == streams


def test_objects_of_any_number_are_predicted_batch_by_batch(
    checkpoint_bytes: bytes, batch: Batch
) -> None:
    engine = Engine(load_checkpoint(checkpoint_bytes), 2, batch_size=3)
    parts = [engine.predict(batch[0][at : at + 3], batch[1][at : at + 3]) for at in (0, 3, 6)]
    together = Predictions.together(parts)
    made = engine.predict_all(*batch)
    for column, other in zip(vars(made).values(), vars(together).values(), strict=True):
        np.testing.assert_array_equal(column, other)
    assert len(engine.predict_all(batch[0][:0], batch[1][:0]).flags) == 0


def test_where_a_batch_lies_in_memory_does_not_matter(engine: Engine, batch: Batch) -> None:
    raw = np.zeros(batch[0].nbytes + 4, np.uint8)
    unaligned = raw[4:].view(np.float32).reshape(batch[0].shape)
    unaligned[...] = batch[0]
    strided = np.zeros((16, *batch[0].shape[1:]), np.float32)[::2]
    strided[...] = batch[0]
    expected = engine.predict(*batch).z_phot.tobytes()
    assert engine.predict(unaligned, batch[1]).z_phot.tobytes() == expected
    assert engine.predict(strided, batch[1]).z_phot.tobytes() == expected


@pytest.mark.parametrize("name", ENGINES)
def test_a_whole_batch_gives_the_same_bits_wherever_it_lies(
    checkpoint_bytes: bytes, batch: Batch, name: str
) -> None:
    image, mag = batch
    engine = Engine(load_checkpoint(checkpoint_bytes), 1, name=name, batch_size=len(image))
    raw = np.zeros(image.nbytes + 128, np.uint8)
    found = set()
    for shift in (0, 4, 16, 64):
        start = -raw.ctypes.data % 64 + shift
        placed = raw[start : start + image.nbytes].view(np.float32).reshape(image.shape)
        placed[...] = image
        placed.flags.writeable = False
        found.add(engine.predict(placed, mag).z_phot.tobytes())
        placed.flags.writeable = True
    assert len(found) == 1


def test_magnitudes_in_double_precision_are_as_good(engine: Engine, batch: Batch) -> None:
    double = engine.predict(batch[0], batch[1].astype(np.float64))
    np.testing.assert_array_equal(double.z_phot, engine.predict(*batch).z_phot)


def test_a_batch_is_left_as_it_was(engine: Engine, batch: Batch) -> None:
    batch[1][0, 0] = -99.0
    before = batch[0].copy(), batch[1].copy()
    engine.predict(*batch)
    np.testing.assert_array_equal(batch[0], before[0])
    np.testing.assert_array_equal(batch[1], before[1])


def test_complete_objects_have_no_flag_and_the_right_types(engine: Engine, batch: Batch) -> None:
    found = engine.predict(*batch)
    types = [str(column.dtype) for column in vars(found).values()]
    assert types == ["float32", "float32", "float32", "int32"]
    assert not found.flags.any()
    assert np.isfinite(found.z_phot).all()
    assert (found.z_phot_err <= 0.02).all()


@pytest.mark.parametrize(
    "value", [-99.0, -9999.0, 99.0, -10000.0, 99.999, 1e20, np.nan, np.inf, -np.inf]
)
def test_every_way_to_say_missing_is_flagged_alike(
    engine: Engine, batch: Batch, value: float
) -> None:
    image, mag = batch
    mag[3, 2] = np.nan
    expected = engine.predict(image, mag)
    mag[3, 2] = value
    found = engine.predict(image, mag)
    assert found.flags.tolist() == [0, 0, 0, Flag.MISSING_BAND, 0, 0, 0, 0]
    np.testing.assert_array_equal(found.z_phot, expected.z_phot)
    assert found.z_phot_err[3] >= 0.1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_bad_pixel_is_flagged_and_the_object_still_gets_a_redshift(
    engine: Engine, batch: Batch, value: float
) -> None:
    batch[0][6, 4, 31, 0] = value
    found = engine.predict(*batch)
    assert found.flags.tolist() == [0, 0, 0, 0, 0, 0, Flag.BAD_PIXELS, 0]
    assert np.isfinite(found.z_phot).all()
    assert found.z_phot_err[6] >= 0.1


def test_a_band_without_signal_is_as_bad_as_one_without_pixels(
    engine: Engine, batch: Batch
) -> None:
    batch[0][2, 1] = np.nan
    expected = engine.predict(*batch)
    for blank in (0.0, -0.0):
        batch[0][2, 1] = blank
        found = engine.predict(*batch)
        assert found.flags.tolist() == [0, 0, Flag.BAD_PIXELS, 0, 0, 0, 0, 0]
        np.testing.assert_array_equal(found.z_phot, expected.z_phot)
        np.testing.assert_array_equal(found.z_phot_err, expected.z_phot_err)
    batch[0][2, 1, 0, :5] = np.nan
    assert engine.predict(*batch).flags[2] == Flag.BAD_PIXELS


def test_a_band_with_a_single_pixel_of_signal_is_no_bad_one(engine: Engine, batch: Batch) -> None:
    batch[0][2, 1] = 0
    batch[0][2, 1, 0, 31] = 1e-9
    assert not engine.predict(*batch).flags.any()


def test_a_redshift_beyond_the_training_is_flagged(checkpoint_bytes: bytes, batch: Batch) -> None:
    checkpoint = load_checkpoint(checkpoint_bytes)
    z = Engine(checkpoint, 1).predict(*batch).z_phot
    low, high = np.sort(z)[[1, -2]]
    object.__setattr__(checkpoint.provenance, "z_min", float(low))
    object.__setattr__(checkpoint.provenance, "z_max", float(high))
    found = Engine(checkpoint, 1).predict(*batch)
    outside = (z < low) | (z > high)
    assert outside.sum() == 2
    np.testing.assert_array_equal(found.flags, np.where(outside, Flag.OUT_OF_RANGE, 0))


@pytest.mark.parametrize("pixel", [np.nan, 0.0])
def test_an_object_without_a_good_pixel_has_no_error(
    engine: Engine, batch: Batch, pixel: float
) -> None:
    batch[0][1] = pixel
    batch[0][2, 1:] = pixel
    found = engine.predict(*batch)
    assert np.isfinite(found.z_phot).all()
    assert np.isnan(found.z_phot_err).tolist() == [False, True] + [False] * 6
    assert found.flags.tolist() == [0, Flag.BAD_PIXELS, Flag.BAD_PIXELS, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("pixel", [np.nan, 0.0])
def test_an_object_of_which_nothing_is_known_gets_no_prediction(
    engine: Engine, batch: Batch, pixel: float
) -> None:
    batch[0][1], batch[1][1] = pixel, 99.0
    found = engine.predict(*batch)
    assert np.isnan(found.z_phot[1])
    assert np.isnan(found.z_phot_err[1])
    assert found.flags[1] == Flag.MISSING_BAND | Flag.BAD_PIXELS | Flag.NO_PREDICTION
    assert np.isfinite(np.delete(found.z_phot, 1)).all()


def test_a_number_that_is_not_finite_is_no_prediction(
    checkpoint_bytes: bytes, batch: Batch
) -> None:
    checkpoint = load_checkpoint(checkpoint_bytes)
    checkpoint.state["concat_block.2.bias"] = np.full(1, np.inf, np.float32)
    found = Engine(checkpoint, 1).predict(*batch)
    assert np.isnan(found.z_phot).all()
    assert (found.flags == Flag.NO_PREDICTION).all()


def test_a_larger_image_is_cut_to_its_centre(engine: Engine, batch: Batch) -> None:
    large = np.full((8, 5, 64, 40), np.nan, np.float32)
    large[:, :, 16:48, 4:36] = batch[0]
    found = engine.predict(large, batch[1])
    np.testing.assert_array_equal(found.z_phot, engine.predict(*batch).z_phot)
    assert not found.flags.any()


@pytest.mark.parametrize(
    ("image", "mag"),
    [
        ((2, 5, 31, 32), (2, 5)),
        ((2, 4, 32, 32), (2, 4)),
        ((5, 32, 32), (5,)),
        ((2, 5, 32, 32), (3, 5)),
        ((2, 5, 32, 32), (2, 4)),
    ],
)
def test_shapes_that_do_not_fit_are_refused(
    engine: Engine, image: tuple[int, ...], mag: tuple[int, ...]
) -> None:
    with pytest.raises(InputError, match="shape"):
        engine.predict(np.zeros(image, np.float32), np.zeros(mag, np.float32))


def test_an_empty_batch_gives_nothing(engine: Engine) -> None:
    found = engine.predict(np.zeros((0, 5, 32, 32), np.float32), np.zeros((0, 5), np.float32))
    assert len(found.z_phot) == len(found.z_phot_err) == len(found.flags) == 0


@pytest.mark.parametrize(
    ("mb", "threads"), [(128, 1), (1768, 1), (1769, 1), (3537, 1), (3538, 2), (10_240, 5)]
)
def test_a_thread_for_each_whole_processor(mb: int, threads: int) -> None:
    assert threads_for_memory(mb) == threads


def test_no_threads_are_refused(checkpoint_bytes: bytes) -> None:
    with pytest.raises(InputError, match="threads is 0"):
        Engine(load_checkpoint(checkpoint_bytes), 0)
