"""A catalogue read back, as an astropy Table or a pandas DataFrame."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import fitsio
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cosmic.contracts.bands import bands_of_columns
from cosmic.contracts.catalogue_columns import columns_in
from cosmic.contracts.catalogue_schema import PREFIX, completed, in_schema, schema_of
from cosmic.contracts.location import parse_uri
from cosmic.errors import InputError
from cosmic.extras import not_installed
from cosmic.results.fits_table import FITS_EXTENSION
from cosmic.storage.objects import Store, s3_client

if TYPE_CHECKING:
    from astropy.table import Table
    from pandas import DataFrame
    from types_boto3_s3 import S3Client

PROVENANCE = (
    "run",
    "model",
    "modelsha",
    "software",
    "dataset",
    "date",
    "rowsin",
    "rowsout",
    "flagged",
)


def read_catalogue(source: Path | str, *, client: S3Client | None = None) -> Table:
    """Read a catalogue with astropy: units and descriptions on its columns, nulls masked.

    Args:
        source: A catalogue's file, Parquet or FITS, here or `s3://bucket/key`.
        client: The S3 client to ask; None: one by the environment's credentials.

    Returns:
        A masked Table; a column's UCD is its `meta["ucd"]`, the provenance is the table's `meta`.

    Raises:
        InputError: it does not exist, is not a catalogue, or astropy is not installed.
    """
    try:
        from astropy.table import MaskedColumn, Table
    except ModuleNotFoundError as error:
        raise not_installed(error) from error
    rows, provenance = _read(source, client)
    columns = [
        MaskedColumn(
            _array(rows[name]),
            name=name,
            mask=rows[name].is_null().to_numpy(zero_copy_only=False),
            unit=info.unit or None,
            description=info.description,
            meta={"ucd": info.ucd},
        )
        for name, info in columns_in(rows.column_names).items()
    ]
    return Table(columns, meta=provenance, copy=False)


def read_catalogue_pandas(source: Path | str, *, client: S3Client | None = None) -> DataFrame:
    """Read a catalogue with pandas: nulls are NaN, the provenance is the frame's `attrs`.

    Args:
        source, client: As `read_catalogue`.

    Raises:
        InputError: it does not exist, is not a catalogue, or pandas is not installed.
    """
    try:
        import pandas as pd
    except ModuleNotFoundError as error:
        raise not_installed(error) from error
    rows, provenance = _read(source, client)
    columns = {name: rows[name].to_numpy(zero_copy_only=False) for name in rows.column_names}
    frame = pd.DataFrame(columns)
    frame.attrs.update(provenance)
    return frame


def _array(column: pa.ChunkedArray) -> NDArray[Any]:
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    return values.astype(str) if pa.types.is_string(column.type) else values


def read_rows_of(source: Path | str, client: S3Client | None = None) -> pa.Table:
    """The rows of a catalogue's file, in the catalogue's schema; arguments as `read_catalogue`."""
    return _read(source, client)[0]


def _read(source: Path | str, client: S3Client | None) -> tuple[pa.Table, dict[str, str]]:
    """The rows (of a catalogue's schema) and the provenance of its file."""
    if not str(source).startswith("s3://"):
        return _read_file(Path(source))
    at = parse_uri(str(source))
    data = Store(client or s3_client()).get(at)
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / at.key.rpartition("/")[2]
        path.write_bytes(data)
        return _read_file(path)


def _read_file(path: Path) -> tuple[pa.Table, dict[str, str]]:
    if not path.is_file():
        raise InputError(f"{path} is not a file", code="not-found", hint="check its spelling")
    try:
        return _read_fits(path) if path.suffix == ".fits" else _read_parquet(path)
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        hint = "a catalogue is catalogue.parquet or catalogue.fits of a run"
        raise InputError(
            f"{path} is not a catalogue: {error}", code="bad-catalogue", hint=hint
        ) from error


def _read_parquet(path: Path) -> tuple[pa.Table, dict[str, str]]:
    table = pq.read_table(path)
    written = pq.read_metadata(path).metadata or {}
    found = {k.decode(): v.decode() for k, v in written.items()}
    provenance = {n: found[PREFIX + n] for n in PROVENANCE if PREFIX + n in found}
    return in_schema(table), provenance


def _read_fits(path: Path) -> tuple[pa.Table, dict[str, str]]:
    with fitsio.FITS(str(path)) as file:
        rows = file[FITS_EXTENSION].read()
        header: Any = file[FITS_EXTENSION].read_header()
    texts, bands = rows["object_id"].dtype.kind in "SU", bands_of_columns(rows.dtype.names)
    schema = schema_of(1 if texts else None, bands)
    there = [field for field in schema if field.name in rows.dtype.names]
    arrays = [_arrow(rows[field.name], field) for field in there]
    provenance = {n: str(header[n.upper()]) for n in PROVENANCE if n.upper() in header}
    return completed(pa.Table.from_arrays(arrays, schema=pa.schema(there)), schema), provenance


def _arrow(values: NDArray[Any], field: pa.Field) -> pa.Array:
    if pa.types.is_string(field.type):
        return pa.array(values.astype(str).tolist(), field.type)
    numbers = np.ascontiguousarray(values, field.type.to_pandas_dtype())
    mask = np.isnan(numbers) if field.nullable else None
    return pa.array(numbers, type=field.type, mask=mask)
