"""Any id comes back exactly as it went in, from any container into any file, or is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.table import Table
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cosmic import read_catalogue, read_catalogue_pandas, run_local
from cosmic.contracts.text_ids import is_text_id, restored_ids, stored_ids
from cosmic.data.pack.choices import Choices
from cosmic.data.pack.ids import first_text_id, object_ids
from cosmic.data.pack.opening import files_of
from cosmic.data.pack.pack import pack
from cosmic.data.pack.source import Field, RowsRefused, Values
from cosmic.data.photometry_check import flux_of
from fmilib.wire.codec import decode, encode

CHECKPOINT = Path(__file__).parents[3] / "models/tiny/astromae-tiny.safetensors"
PRINTABLE = st.characters(min_codepoint=32, max_codepoint=126)
SURVEYS = ["J123456.78+012345.6", "SDSS J1", "012", "1_23", "9223372036854775808", "x" * 64, " a"]
TEXTS = st.one_of(
    st.sampled_from(SURVEYS),
    st.uuids().map(str),
    st.integers(-(2**65), 2**65).map(str),
    st.text(PRINTABLE, min_size=1, max_size=64).filter(lambda text: text[-1] != " "),
)
ANYTHING = st.one_of(
    TEXTS, st.text(max_size=70), st.from_regex(r"\A[ +-]?[0-9_\u0660-\u0663]{1,4} ?\Z")
)


def containers(folder: Path, columns: dict[str, Any], texts: list[str]) -> list[Path]:
    """The same objects in a file of each kind, written by that kind's own library."""
    arrays = {**columns, "object_id": np.array(texts)}
    Table(arrays).write(folder / "a.fits")
    nested = {name: column.tolist() for name, column in arrays.items()}
    pq.write_table(pa.table({**nested, "object_id": pa.array(texts)}), folder / "b.parquet")
    with h5py.File(folder / "c.h5", "w") as file:
        for name, column in columns.items():
            file[name] = column
        file.create_dataset("object_id", data=texts, dtype=h5py.string_dtype())
    np.savez(folder / "d.npz", **arrays)
    return files_of([folder])


def as_text(ids: Any) -> list[str]:
    return [str(i) for i in ids]


@settings(max_examples=4)
@given(st.lists(TEXTS, min_size=1, max_size=5))
@example(SURVEYS)
@example(["12", "-3"])
def test_ids_of_every_container_are_in_both_catalogues(
    small_columns: Callable[[int], dict[str, Any]], texts: list[str]
) -> None:
    with TemporaryDirectory() as name:
        place = Path(name)
        (place / "in").mkdir()
        files = containers(place / "in", small_columns(len(texts)), texts)
        packed = pack(files, place / "data", Choices(), partition_bytes=1 << 20, per_partition=3)
        ran = run_local(place / "data", CHECKPOINT, place / "out", threads=1)
        expected = texts * len(files)
        assert packed.rows == ran.rows == len(expected)
        assert pq.read_table(ran.parquet)["object_id"].to_pylist() == (
            expected if packed.text_id else [int(t) for t in expected]
        )
        assert as_text(Table.read(ran.fits, hdu=1)["object_id"]) == expected
        assert as_text(pd.read_parquet(ran.parquet)["object_id"]) == expected
        for path in (ran.parquet, ran.fits):
            assert as_text(read_catalogue(path)["object_id"]) == expected
            assert as_text(read_catalogue_pandas(path)["object_id"]) == expected


@pytest.fixture(scope="module")
def small_columns() -> Callable[[int], dict[str, Any]]:
    """Objects without ids whose images the tiny model takes."""

    def make(rows: int) -> dict[str, Any]:
        draw = np.random.default_rng(rows)
        image = draw.normal(0, 1, (rows, 5, 32, 32))
        mag = draw.uniform(15, 20, (rows, 5)).astype(np.float32)
        image += flux_of(mag)[:, :, None, None] / 32**2
        return {"image": image.astype(np.float32), "mag": mag}

    return make


@given(st.lists(ANYTHING, min_size=1, max_size=4), st.integers(0, 1000))
def test_an_id_comes_back_as_it_was_or_is_refused_by_row(texts: list[str], start: int) -> None:
    data = np.empty(len(texts), object)
    data[:] = texts
    field = Field("id", len(texts), "text", "U", (), lambda a, b: Values(data[a:b]))
    text = first_text_id(field, step=3)
    odd = [start + i for i, t in enumerate(texts) if not is_text_id(t.encode())]
    assert text is not None or not odd
    if odd:
        with pytest.raises(RowsRefused, match="1 to 64 printable ASCII") as caught:
            object_ids(Values(data), start, as_text=True)
        assert caught.value.rows == odd
    else:
        ids = object_ids(Values(data), start, as_text=text is not None)
        assert ids.dtype.kind == ("i" if text is None else "S")
        assert as_text(ids.astype(str)) == texts


@given(st.lists(TEXTS, max_size=5))
def test_ids_are_stored_by_width_and_travel_between_ranks(texts: list[str]) -> None:
    ids = np.array(texts, "S64")
    stored = stored_ids(ids)
    assert stored.shape == (len(texts), max([1, *map(len, texts)]))
    sent = decode(b"".join(encode(restored_ids(stored))))
    assert sent.astype(str).tolist() == texts
