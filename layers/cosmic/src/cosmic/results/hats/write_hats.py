"""A catalogue's rows as a HATS collection: files by place on the sky, as LSDB opens them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq

from cosmic.contracts.catalogue_schema import PREFIX, in_schema
from cosmic.contracts.location import Location, parse_uri
from cosmic.errors import InputError
from cosmic.results.hats.collection import CollectionWriter
from cosmic.results.hats.healpix import TILE_ORDER
from cosmic.results.hats.sky_rows import SkyCount, SkyRows, bytes_of
from cosmic.storage.interfaces import Writable
from cosmic.storage.local_store import LocalStore
from cosmic.storage.object_file import ObjectFile

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

TILE_ROWS = 1_000_000
HERE = "here"  # stands for a bucket where files are on this machine
Progress = Callable[[int, int], object]


@dataclass(frozen=True)
class HatsCatalogue:
    """What was written.

    Attributes:
        rows: Rows in it.
        rows_without_position: Rows of the catalogue that are left out, for they have no right
            ascension or no declination.
        tiles: Its Parquet files, each with the rows of one HEALPix pixel.
        bytes: Their size.
    """

    rows: int
    rows_without_position: int
    tiles: int
    bytes: int


def write_hats(
    source: Path | str,
    out: Path | str,
    *,
    tile_rows: int = TILE_ROWS,
    scratch: Path | None = None,
    client: S3Client | None = None,
    progress: Progress = lambda done, rows: None,
) -> HatsCatalogue:
    """Write a catalogue as a HATS collection, the layout that LSDB reads.

    The same catalogue gives the same files. Memory doesn't grow with it: rows are read in groups,
    put by place into files of the scratch folder, and sorted file by file.

    Args:
        source: `catalogue.parquet`, here or `s3://bucket/key`.
        out: The collection's folder, here or `s3://bucket/folder/`. What an earlier call left
            there that did not come to its end is overwritten.
        tile_rows: The most rows that a tile may have.
        scratch: Gets all rows for a while; None: the system's folder for temporary files.
        client: The S3 client to ask; None: one by the environment's credentials.
        progress: Called with the rows that are written, and how many there are to write.

    Raises:
        InputError: the source is no catalogue, or no row has a position; `out` has other files;
            the scratch folder has no room; or the rows lie too close together for such tiles.
        TransientError: S3 failed.
    """
    places = (Place.named(source, client), Place.named(out, client))
    return copy_to_hats(*places, tile_rows, scratch, progress)


class Place(NamedTuple):
    """An object or a folder: where it is, and what it is called in messages."""

    store: Writable
    at: Location
    name: str

    @classmethod
    def named(cls, name: Path | str, client: S3Client | None = None) -> Self:
        """A place here, or at `s3://bucket/key`."""
        if str(name).startswith("s3://"):
            from cosmic.storage.objects import Store, s3_client  # boto3 is for S3 alone

            return cls(Store(client or s3_client()), parse_uri(str(name)), str(name))
        path = Path(name).absolute()
        return cls(LocalStore({HERE: path.parent}), Location(HERE, path.name), str(name))


def copy_to_hats(
    source: Place,
    out: Place,
    tile_rows: int = TILE_ROWS,
    scratch: Path | None = None,
    progress: Progress = lambda done, rows: None,
    *,
    edition: str = "",
) -> HatsCatalogue:
    """As `write_hats`, from and to what stands for S3.

    Args:
        edition: Names the folder of the catalogue in the collection. Where this is given, `out` may
            have other editions: the collection turns to this one when it is whole.
    """
    with TemporaryDirectory(prefix="cosmic-hats-", dir=scratch) as rows_by_strip:
        catalogue, schema = _opened(source)
        _check_room(bytes_of(catalogue), Path(rows_by_strip))
        count = SkyCount.of(catalogue, tile_rows)
        _check_tiles(count, tile_rows, source.name)
        writer = CollectionWriter(out.store, out.at, schema, _origin(catalogue), count, edition)
        if not edition and (others := writer.others()):
            message = f"{out.name} is not empty: it holds {', '.join(others)}"
            raise InputError(message, code="not-empty", hint="name another folder, or empty it")
        done = 0
        for tile, groups in SkyRows(catalogue, count, Path(rows_by_strip)):
            writer.write_tile(tile, groups)
            done += tile.rows
            progress(done, count.rows)
        writer.finish()
    return HatsCatalogue(count.rows, count.rows_without_position, len(count.tiles), writer.bytes)


def _opened(source: Place) -> tuple[pq.ParquetFile, pa.Schema]:
    """A catalogue's file, and the schema of its rows."""
    try:
        catalogue = pq.ParquetFile(ObjectFile(source.store, source.at), pre_buffer=True)
        return catalogue, in_schema(catalogue.schema_arrow.empty_table()).schema
    except (pa.ArrowException, KeyError, ValueError) as error:
        hint = "give the catalogue.parquet of a run"
        message = f"{source.name} is no Parquet catalogue: {error}"
        raise InputError(message, code="bad-catalogue", hint=hint) from error


def _origin(catalogue: pq.ParquetFile) -> dict[str, str]:
    found = {k.decode(): v.decode() for k, v in (catalogue.metadata.metadata or {}).items()}
    return {name: value for name, value in found.items() if name.startswith(PREFIX)}


def _check_room(needed: int, scratch: Path) -> None:
    free = shutil.disk_usage(scratch).free
    if needed > free:
        message = (
            f"{scratch.parent} has room for {free / 1e9:.1f} GB, the rows take {needed / 1e9:.1f}"
        )
        raise InputError(message, code="no-room", hint="name another scratch folder")


def _check_tiles(count: SkyCount, tile_rows: int, source: str) -> None:
    if not count.tiles:
        message = f"no row of {source} has a position"
        raise InputError(message, code="no-positions", hint="its data set lacks ra and dec")
    most = max(count.tiles, key=lambda tile: tile.rows)
    if most.rows > tile_rows:
        raise InputError(
            f"{most.rows:,} rows of {source} lie in one pixel of order {TILE_ORDER}, "
            f"47 square arcmin; tiles may have {tile_rows:,}",
            code="too-dense",
            hint="are the positions right? If so, allow tiles of more rows",
        )
