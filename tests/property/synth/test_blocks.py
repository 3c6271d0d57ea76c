"""Objects depend on the recipe and their number, never on how they are cut or who makes them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from cosmic.data.synth.dataset import Sample, bounds, digest, rows, write_dataset
from cosmic.data.synth.split import held_out

SAMPLE = Sample("legacy", 700, seed=11, image_size=4)
WHOLE = rows(SAMPLE, 0, 700)


@settings(max_examples=25)
@given(st.tuples(st.integers(0, 700), st.integers(0, 700)).map(sorted))
def test_any_rows_made_alone_are_those_of_the_whole(cut: list[int]) -> None:
    start, stop = cut
    part = rows(SAMPLE, start, stop)
    assert digest(part) == digest({name: c[start:stop] for name, c in WHOLE.items()})


@settings(max_examples=10)
@given(st.integers(1, 800))
def test_any_partitioning_makes_the_same_objects(per_partition: int) -> None:
    parts = [rows(SAMPLE, *each) for each in bounds(700, per_partition)]
    together = {n: np.concatenate([p[n] for p in parts]) for n in WHOLE}
    assert digest(together) == digest(WHOLE)


@settings(max_examples=10)
@given(st.integers(0, 999_999), st.sampled_from(["train", "test", "all"]))
def test_every_seed_and_split_is_another_sample_made_the_same_each_time(
    seed: int, split: str
) -> None:
    sample = Sample("mock", 64, seed, split, 1)  # type: ignore[arg-type]
    once, twice = rows(sample, 0, 64), rows(sample, 0, 64)
    assert digest(once) == digest(twice)
    other = Sample("mock", 64, (seed + 1) % 10**6, split, 1)  # type: ignore[arg-type]
    assert not np.isin(rows(other, 0, 64)["object_id"], once["object_id"]).any()


@settings(max_examples=50)
@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20))
def test_a_galaxy_is_held_out_whatever_else_is_in_the_list(ids: list[int]) -> None:
    together = held_out(np.array(ids, np.int64))
    alone = [bool(held_out(np.array([i], np.int64))[0]) for i in ids]
    assert together.tolist() == alone


def test_photometry_does_not_change_with_the_image() -> None:
    small, large = (rows(Sample("legacy", 40, 1, image_size=n), 0, 40) for n in (4, 32))
    for name in ("mag", "mag_err", "z_spec", "object_id", "ra", "dec"):
        np.testing.assert_array_equal(small[name], large[name])


def test_threads_do_not_change_the_files(tmp_path: Path) -> None:
    one = write_dataset(tmp_path / "1", SAMPLE, 150, workers=1)
    four = write_dataset(tmp_path / "4", SAMPLE, 150, workers=4)
    assert [p.name for p in one] == [f"{i}.safetensors" for i in range(5)]
    back, again = ([load_file(p) for p in files] for files in (one, four))
    assert [digest(p) for p in back] == [digest(p) for p in again]
    assert digest({n: np.concatenate([p[n] for p in back]) for n in WHOLE}) == digest(WHOLE)
