"""Simulated data sets: objects by number, in blocks that can each be made alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cosmic.data.native import write_partition
from cosmic.data.synth import instrument, morphology
from cosmic.data.synth.populations import (
    POPULATIONS,
    Population,
    Sky,
    catalog_sky,
    draw_sky,
    real_galaxies,
)
from cosmic.data.synth.render import Pointing, render
from cosmic.data.synth.split import SPLITS, Split
from cosmic.errors import InputError

Columns = dict[str, NDArray[Any]]

BLOCK = 256  # objects that share a random stream
BYTES_PER_OBJECT = 20_508  # 5 x 32 x 32 pixels, 5 magnitudes and 8 bytes: how partitions are named
MAX_SEED = 10**6
MAX_OBJECTS = 10**11
_STREAMS = {"sky": 0, "shape": 1, "photometry": 2, "pixels": 3}


@dataclass(frozen=True)
class Sample:
    """A data set by its recipe: the same recipe makes the same objects.

    Attributes:
        population: `catalog`: the real galaxies themselves, real photometry, simulated pixels.
            `mock`: Main-sample galaxies drawn inside its flux limit. `legacy`: 65 % of those and
            35 % luminous red galaxies.
        objects: How many; None takes all there are of `catalog`.
        seed: From 0 to 999,999.
        split: Which real galaxies it is made of: `train`, the held-out `test`, or `all`.
        image_size: Side of the image, pixels; no other column depends on it.
    """

    population: Population
    objects: int | None = None
    seed: int = 0
    split: Split = "test"
    image_size: int = 32

    def __post_init__(self) -> None:
        """Refuse what can't be made, saying what was asked for."""
        if self.population not in POPULATIONS:
            raise InputError(
                f"population is {self.population!r}", hint=f"one of {', '.join(POPULATIONS)}"
            )
        if self.split not in SPLITS:
            raise InputError(f"split is {self.split!r}", hint=f"one of {', '.join(SPLITS)}")
        if not 0 <= self.seed < MAX_SEED:
            raise InputError(f"seed is {self.seed}", hint=f"from 0 to {MAX_SEED - 1}")
        if self.image_size < 1:
            raise InputError(f"image size is {self.image_size}", hint="1 pixel or more")
        if self.objects is None and self.population != "catalog":
            raise InputError(f"{self.population} needs a number of objects")
        if self.objects is not None and not 1 <= self.objects <= self._most():
            raise InputError(
                f"{self.objects} objects of {self.population} ({self.split})",
                hint=f"from 1 to {self._most()}",
            )

    def __len__(self) -> int:
        return self._most() if self.objects is None else self.objects

    def _most(self) -> int:
        return len(real_galaxies(self.split)) if self.population == "catalog" else MAX_OBJECTS

    def rng(self, stream: str, block: int) -> np.random.Generator:
        """The random numbers of one purpose in one block."""
        recipe = (self.seed, POPULATIONS.index(self.population), SPLITS.index(self.split))
        return np.random.default_rng([*recipe, block, _STREAMS[stream]])


def rows(sample: Sample, start: int, stop: int) -> Columns:
    """Objects `start` up to and without `stop`, made alone.

    Returns:
        The columns of a native partition, `z_spec` included, in the order of the objects.
    """
    if not 0 <= start <= stop <= len(sample):
        raise InputError(f"rows {start} to {stop} of {len(sample)}")
    blocks = range(start // BLOCK, -(-stop // BLOCK)) if stop > start else range(1)
    parts = []
    for block in blocks:
        columns = _block(sample, block)
        low = block * BLOCK
        cut = slice(max(start - low, 0), max(stop - low, 0))
        parts.append({name: column[cut] for name, column in columns.items()})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def bounds(objects: int, per_partition: int) -> list[tuple[int, int]]:
    """Each partition's first object and the one after its last; the last may be shorter."""
    if per_partition < 1:
        raise InputError(f"{per_partition} objects per partition", hint="1 or more")
    return [(i, min(i + per_partition, objects)) for i in range(0, objects, per_partition)]


def objects_per_partition(partition_bytes: int) -> int:
    """Objects in a partition of that size: 1,278 in 25 MB, 5,113 in 100 MB (of 2^20 bytes)."""
    if partition_bytes < BYTES_PER_OBJECT:
        raise InputError(
            f"a partition of {partition_bytes} bytes", hint=f"{BYTES_PER_OBJECT} or more"
        )
    return partition_bytes // BYTES_PER_OBJECT


def write_dataset(
    out: Path,
    sample: Sample,
    per_partition: int,
    *,
    workers: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Write a sample as native partitions `0.safetensors`, `1.safetensors`, ...

    Args:
        out: Folder; made if it does not exist.
        sample: What to write.
        per_partition: Objects in a partition.
        workers: Threads; None takes one a core.
        progress: Called with objects written and objects in all, after each partition.

    Returns:
        The files, in order.
    """
    out.mkdir(parents=True, exist_ok=True)
    parts = bounds(len(sample), per_partition)
    done = 0

    def write(index: int) -> Path:
        path = out / f"{index}.safetensors"
        write_partition(path, rows(sample, *parts[index]))
        return path

    written = []
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        for index, path in enumerate(pool.map(write, range(len(parts)))):
            written.append(path)
            done += parts[index][1] - parts[index][0]
            progress(done, len(sample))
    return written


def digest(columns: Columns) -> str:
    """SHA-256 over names, dtypes, shapes and bytes of columns, by name."""
    sha = hashlib.sha256()
    for name in sorted(columns):
        column = np.ascontiguousarray(columns[name])
        sha.update(f"{name} {column.dtype.str} {column.shape}\n".encode())
        sha.update(column.data)
    return sha.hexdigest()


def _block(sample: Sample, block: int) -> Columns:
    """All objects of one block; the last block of `catalog` is shorter."""
    if sample.population == "catalog":
        real = real_galaxies(sample.split)
        real = real.take(np.arange(block * BLOCK, min((block + 1) * BLOCK, len(real))))
        sky = catalog_sky(real)
        measured, error = real.flux, real.flux_error
        object_id = real.object_id
    else:
        sky = draw_sky(sample.population, sample.split, BLOCK, sample.rng("sky", block))
        object_id = _drawn_id(sample, block)
    shape = morphology.draw(sky.z, sky.absolute_r, sky.rest_g_r, sample.rng("shape", block))
    if sample.population != "catalog":
        error = instrument.flux_error(sky.flux, shape.half_light)
        noise = sample.rng("photometry", block).standard_normal(error.shape)
        measured = sky.flux + error * noise
    mag, mag_err = instrument.asinh_magnitude(measured, error)
    return {
        "image": _pixels(sample, sky, shape, sample.rng("pixels", block)),
        "mag": mag,
        "mag_err": mag_err,
        "object_id": object_id,
        "ra": sky.ra,
        "dec": sky.dec,
        "z_spec": sky.z.astype(np.float32),
    }


def _drawn_id(sample: Sample, block: int) -> NDArray[np.int64]:
    """19 digits: 2 or 3 for the population, six of the seed, one of the split, eleven to count."""
    population = POPULATIONS.index(sample.population) + 1
    base = (population * 10**6 + sample.seed) * 10**12 + SPLITS.index(sample.split) * 10**11
    return base + np.arange(block * BLOCK, (block + 1) * BLOCK, dtype=np.int64)


def _pixels(
    sample: Sample, sky: Sky, shape: morphology.Morphology, rng: np.random.Generator
) -> NDArray[np.float32]:
    n = len(sky.z)
    seeing = np.exp(instrument.SEEING_SCATTER * rng.standard_normal(n))
    pointing = Pointing(
        offset=rng.uniform(-0.5, 0.5, (n, 2)),
        seeing_fwhm=seeing[:, None] * instrument.SEEING_FWHM_ARCSEC,
    )
    image = render(sky.flux, shape, pointing, sample.image_size)
    return image + instrument.pixel_noise(image, rng)
