"""A catalogue's p(z) as an ensemble of qp, the format of RAIL."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cosmic.contracts.quantiles import QUANTILES
from cosmic.errors import InputError
from cosmic.metrics.pz import Pieces
from cosmic.results.read_catalogue import read_rows_of

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

SUFFIX = ".hdf5"
ANCILLARY = ("object_id", "z_phot", "z_spec", "flags")


def write_qp(source: Path | str, out: Path, *, client: S3Client | None = None) -> int:
    """Write the quantiles of p(z) of a catalogue as a qp ensemble of kind `quant`.

    The cumulative distributions have the same ends as those of `metrics.json`; `object_id`,
    `z_phot`, `z_spec` and `flags` are included as ancillary data.

    Args:
        source: A catalogue's file, Parquet or FITS, here or `s3://bucket/key`.
        out: The file, `.hdf5`; written under another name first, then renamed.
        client: The S3 client to ask; None: one by the environment's credentials.

    Returns:
        How many objects it holds: those that have p(z).

    Raises:
        InputError: qp is not installed, the file is not a catalogue, no object has p(z), or the
            name of `out` does not end in `.hdf5`.
    """
    qp = _imported()
    if out.suffix != SUFFIX:
        hint = f"name it {out.with_suffix(SUFFIX).name}"
        raise InputError(f"{out} does not end in {SUFFIX}", code="bad-name", hint=hint)
    rows = read_rows_of(source, client)
    quantiles = np.stack([_array(rows[name]) for name in QUANTILES], axis=1).astype(np.float64)
    known = np.isfinite(quantiles).all(axis=1)
    if not known.any():
        raise InputError(
            f"no object of {source} has p(z)",
            code="no-pz",
            hint="its model is not calibrated for it: see `cosmic model calibrate`",
        )
    pieces = Pieces.of(quantiles[known])
    ensemble = qp.Ensemble(qp.quant, data={"quants": pieces.levels, "locs": pieces.knots})
    ensemble.set_ancil({name: _storable(_array(rows[name])[known]) for name in ANCILLARY})
    beside = out.with_name(f"{out.stem}.part{SUFFIX}")
    ensemble.write_to(str(beside))
    beside.replace(out)
    return int(known.sum())


def _imported() -> Any:
    try:
        import qp
    except ModuleNotFoundError as error:
        hint = "install it: pip install 'cosmic[qp]'"
        raise InputError("qp is not installed here", code="not-installed", hint=hint) from error
    return qp


def _array(column: Any) -> Any:
    return column.to_numpy(zero_copy_only=False)


def _storable(values: Any) -> Any:
    """Text as bytes, which HDF5 has."""
    return values.astype("S") if values.dtype.kind in "OU" else values
