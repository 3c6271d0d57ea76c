"""Whatever a catalogue holds, its HATS collection has the same rows, each where it belongs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import cdshealpix
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from astropy.coordinates import Latitude, Longitude
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from catalogue_support.files import rows_at, write_catalogue
from cosmic.contracts.catalogue_columns import Rows
from cosmic.results.hats.write_hats import HatsCatalogue, write_hats

INDEX = "_healpix_29"
ORDER = 29
GROUP = 64  # rows of a row group; tiles have several


@pytest.fixture(scope="module", autouse=True)
def small_groups() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cosmic.results.hats.sky_rows.ROW_GROUP_ROWS", GROUP)
        patch.setattr("cosmic.results.hats.sky_rows.STRIP_ROWS", 2 * GROUP)
        yield


@st.composite
def skies(draw: st.DrawFn) -> tuple[Rows, int]:
    """Rows all over the sky, in clusters, on one spot or without a position; and rows of a tile."""
    rows, seed = draw(st.integers(1, 600)), draw(st.integers(0, 1 << 30))
    spread = draw(st.sampled_from([180.0, 30.0, 1.0, 0.0]))
    unknown = draw(st.sampled_from([0.0, 0.0, 0.3]))
    number = np.random.default_rng(seed)
    ra = np.mod(number.uniform(0, 360) + number.uniform(-spread, spread, rows), 360)
    dec = np.clip(number.uniform(-90, 90) + number.uniform(-spread, spread, rows), -90, 90)
    for column in (ra, dec):
        column[number.random(rows) < unknown] = np.nan
    ra[0], dec[0] = 10.0, -20.0  # one position at least
    made = rows_at(ra, dec, text_ids=draw(st.booleans()), seed=seed)
    return made, draw(st.sampled_from([600, 1000]) if spread < 30 else st.integers(100, 600))


def read_tile(path: Path) -> tuple[int, int, pa.Table]:
    """Order and pixel by a file's name, and its rows."""
    order = int(path.parent.parent.name.removeprefix("Norder="))
    return order, int(path.stem.removeprefix("Npix=")), pq.ParquetFile(path).read()


def pixels_of(rows: pa.Table) -> NDArray[np.int64]:
    """What cdshealpix says."""
    ra, dec = (rows[name].to_numpy() for name in ("ra", "dec"))
    found = cdshealpix.lonlat_to_healpix(Longitude(ra, "deg"), Latitude(dec, "deg"), ORDER)
    return np.asarray(found, np.int64)


def properties(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def check(root: Path, catalogue: pa.Table, made: HatsCatalogue, tile_rows: int) -> None:
    known = catalogue.filter(
        pc.and_(pc.is_valid(catalogue["ra"]), pc.is_valid(catalogue["dec"]))
    ).sort_by("row")
    primary = root / "catalogue"
    tiles = [read_tile(path) for path in primary.glob("dataset/Norder=*/Dir=*/Npix=*.parquet")]
    for order, pixel, rows in tiles:
        index = rows[INDEX].to_numpy()
        assert np.array_equal(index, pixels_of(rows))
        assert (np.diff(index) >= 0).all()
        assert (index >> 2 * (ORDER - order) == pixel).all()
        assert 0 < rows.num_rows <= tile_rows
        row = rows["row"].to_numpy()
        assert (np.diff(row)[np.diff(index) == 0] > 0).all()
    found = pa.concat_tables([rows for *_, rows in tiles]).sort_by("row")
    assert found.drop_columns([INDEX]).equals(known)
    assert (made.rows, made.tiles) == (known.num_rows, len(tiles))
    assert made.rows_without_position == catalogue.num_rows - known.num_rows
    said = properties(primary / "hats.properties")
    assert int(said["hats_nrows"]) == known.num_rows
    assert int(said["hats_max_rows"]) == max(rows.num_rows for *_, rows in tiles)
    assert int(said["hats_order"]) == max(order for order, *_ in tiles)
    assert int(said["cosmic_rows_without_position"]) == made.rows_without_position
    area = sum(1 / (12 * 4**order) for order, *_ in tiles)
    assert float(said["moc_sky_fraction"]) == pytest.approx(area)
    listed = (primary / "partition_info.csv").read_text().splitlines()
    assert listed[0] == "Norder,Npix"
    named = [tuple(map(int, line.split(","))) for line in listed[1:]]
    assert sorted(named) == sorted((order, pixel) for order, pixel, _ in tiles)
    assert named == sorted(named, key=lambda tile: tile[1] << 2 * (ORDER - tile[0]))
    whole = ds.parquet_dataset(primary / "dataset/_metadata")
    assert whole.count_rows() == known.num_rows
    assert whole.schema.equals(pq.read_schema(primary / "dataset/_common_metadata"))


@settings(max_examples=25, deadline=None)
@given(sky=skies(), group_rows=st.integers(1, 700))
def test_each_row_with_a_position_is_in_its_pixel_once(
    sky: tuple[Rows, int], group_rows: int
) -> None:
    rows, tile_rows = sky
    with TemporaryDirectory() as folder:
        source, out = Path(folder) / "catalogue.parquet", Path(folder) / "hats"
        write_catalogue(source, rows, group_rows)
        made = write_hats(source, out, tile_rows=tile_rows, scratch=Path(folder))
        check(out, pq.read_table(source), made, tile_rows)
        assert sorted(p.name for p in Path(folder).iterdir()) == [
            "catalogue.fits",
            "catalogue.parquet",
            "hats",
        ]
