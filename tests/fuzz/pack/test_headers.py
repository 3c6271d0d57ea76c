"""Fuzzes the headers of every container: a damaged file is read, or it is an `InputError`.

FUZZ_SECONDS (default 0.15) says how long each container is tried, FUZZ_SEED where it begins; a
failure names the seed of its round, with which it can be run again alone.
"""

from __future__ import annotations

import gzip
import io
import os
import random
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from astropy.io import fits, votable
from astropy.table import Table
from numpy.typing import NDArray
from safetensors.numpy import save

from cosmic.data.pack.choices import Choices
from cosmic.data.pack.look import look
from cosmic.data.pack.pack import pack
from cosmic.errors import InputError

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0.15"))
FIRST_SEED = int(os.environ.get("FUZZ_SEED", "0"))
MIN_ROUNDS = 5
HEADER_BYTES = 6000
Columns = dict[str, NDArray[Any]]


def whole_fits(columns: Columns) -> bytes:
    made = io.BytesIO()
    Table(columns).write(made, format="fits")
    return made.getvalue()


def gzipped_fits(columns: Columns) -> bytes:
    return gzip.compress(whole_fits(columns), 1, mtime=0)


def fits_cube(columns: Columns) -> bytes:
    made = io.BytesIO()
    table = fits.BinTableHDU(Table({n: c for n, c in columns.items() if n != "image"}))
    cube = fits.CompImageHDU(columns["image"], name="IMAGE")
    fits.HDUList([fits.PrimaryHDU(), table, cube]).writeto(made)
    return made.getvalue()


def hdf5(columns: Columns) -> bytes:
    made = io.BytesIO()
    with h5py.File(made, "w") as file:
        for name, values in columns.items():
            file[f"objects/{name}"] = values
        file["objects/mag"].attrs["scale_factor"] = 1.0
    return made.getvalue()


def parquet(columns: Columns) -> bytes:
    made = io.BytesIO()
    rows = {n: [np.ravel(v).tolist() for v in c] if c.ndim > 1 else c for n, c in columns.items()}
    pq.write_table(pa.table(rows), made)
    return made.getvalue()


def npz(columns: Columns) -> bytes:
    made = io.BytesIO()
    np.savez(made, **columns)  # type: ignore[arg-type]
    return made.getvalue()


def npy(columns: Columns) -> bytes:
    kinds = [(n, c.dtype, c.shape[1:]) for n, c in columns.items()]
    records = np.empty(len(columns["mag"]), np.dtype(kinds))
    for name, values in columns.items():
        records[name] = values
    made = io.BytesIO()
    np.save(made, records)
    return made.getvalue()


def safetensors(columns: Columns) -> bytes:
    made: bytes = save({n: np.ascontiguousarray(c) for n, c in columns.items()})
    return made


def torch_dict(columns: Columns) -> bytes:
    made = io.BytesIO()
    torch.save({n: torch.from_numpy(c.copy()) for n, c in columns.items()}, made)
    return made.getvalue()


def flat(columns: Columns) -> dict[str, Any]:
    found = {n: c for n, c in columns.items() if c.ndim == 1}
    return {**found, **{f"mag_{b}": columns["mag"][:, i] for i, b in enumerate("ugriz")}}


def csv(columns: Columns) -> bytes:
    text: str = pd.DataFrame(flat(columns)).to_csv(index=False)
    return text.encode()


def ecsv(columns: Columns) -> bytes:
    made = io.StringIO()
    Table(flat(columns)).write(made, format="ascii.ecsv")
    return made.getvalue().encode()


def vot(columns: Columns) -> bytes:
    made = io.BytesIO()
    votable.writeto(votable.from_table(Table(flat(columns))), made)
    return made.getvalue()


CONTAINERS: dict[str, Callable[[Columns], bytes]] = {
    "a.fits": whole_fits,
    "b.fits": fits_cube,
    "a.fits.gz": gzipped_fits,
    "a.h5": hdf5,
    "a.parquet": parquet,
    "a.npz": npz,
    "a.npy": npy,
    "a.safetensors": safetensors,
    "a.pt": torch_dict,
    "a.csv": csv,
    "a.ecsv": ecsv,
    "a.vot": vot,
}


def seeds() -> Iterator[int]:
    """Seeds until the time is up."""
    until, number = time.monotonic() + SECONDS, FIRST_SEED
    while time.monotonic() < until or number - FIRST_SEED < MIN_ROUNDS:
        yield number
        number += 1


def damaged(whole: bytes, rng: random.Random) -> bytes:
    """Changed at a few places near both ends, where headers lie; perhaps cut off."""
    data = bytearray(whole)
    for _ in range(rng.choice((1, 1, 2, 5))):
        reach = min(len(data), HEADER_BYTES)
        at = rng.randrange(reach) if rng.random() < 0.6 else len(data) - 1 - rng.randrange(reach)
        match rng.randrange(4):
            case 0:
                data[at] = rng.choice((0, 1, 0x20, 0x2D, 0x39, 0x7F, 0xFF))
            case 1:
                data[at] ^= 1 << rng.randrange(8)
            case 2:
                data[at : at + 4] = rng.randbytes(4)
            case _:
                data[at : at + rng.choice((1, 8, 80))] = b""
    return bytes(data[: rng.randrange(len(data))] if rng.random() < 0.1 else data)


def read_by_everything(path: Path, out: Path, choices: Choices) -> None:
    """As `inspect` and as `pack` do."""
    for each in (
        lambda: look(path, 2),
        lambda: pack([path], out, choices, partition_bytes=1 << 20),
    ):
        try:
            each()
        except InputError:
            continue


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_damaged_header_is_an_input_error(
    name: str, make_columns: Callable[..., Columns], tmp_path: Path
) -> None:
    columns = make_columns(3, size=4)
    whole, path = CONTAINERS[name](columns), tmp_path / name
    np.save(tmp_path / "images.npy", columns["image"])
    beside = name in ("a.csv", "a.ecsv", "a.vot")
    choices = Choices(cutouts=tmp_path / "images.npy" if beside else None)
    path.write_bytes(whole)
    pack([path], tmp_path / "out", choices, partition_bytes=1 << 20)
    for seed in seeds():
        path.write_bytes(damaged(whole, random.Random(seed)))  # noqa: S311
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                read_by_everything(path, tmp_path / f"out{seed}", choices)
        except BaseException as error:
            error.add_note(f"FUZZ_SEED={seed}")
            raise
