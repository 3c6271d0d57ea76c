"""What a HATS catalogue says of itself, in files of `key=value` lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from cosmic import __version__
from cosmic.results.hats.healpix import FACES, ORDER, Tile

INDEX = f"_healpix_{ORDER}"
PRIMARY = "catalogue"
HATS_VERSION = "v1.0"


def catalogue_properties(
    origin: Mapping[str, str], tiles: Sequence[Tile], rows_without_position: int, size_bytes: int
) -> str:
    """`hats.properties`: a catalogue of objects.

    Args:
        origin: The provenance in the catalogue's file, by `cosmic.*`.
        tiles: Those that it has.
        rows_without_position: Rows that are left out.
        size_bytes: Of its Parquet files.
    """
    return _lines(
        "HATS catalog",
        {
            "obs_collection": _name(origin),
            "dataproduct_type": "object",
            "hats_nrows": sum(tile.rows for tile in tiles),
            "hats_col_ra": "ra",
            "hats_col_dec": "dec",
            "hats_col_healpix": INDEX,
            "hats_col_healpix_order": ORDER,
            "hats_npix_suffix": ".parquet",
            "hats_order": max(tile.order for tile in tiles),
            "hats_max_rows": max(tile.rows for tile in tiles),
            "moc_sky_fraction": sum(1 / (FACES << 2 * tile.order) for tile in tiles),
            **_provenance(origin, size_bytes),
            "cosmic_rows_without_position": rows_without_position,
        },
    )


def collection_properties(origin: Mapping[str, str], folder: str, size_bytes: int) -> str:
    """`collection.properties`: a collection of the one catalogue in this folder of it."""
    return _lines(
        "HATS Collection",
        {
            "obs_collection": _name(origin),
            "hats_primary_table_url": folder,
            **_provenance(origin, size_bytes),
        },
    )


def _provenance(origin: Mapping[str, str], size_bytes: int) -> dict[str, object]:
    written = origin.get("cosmic.date")
    date = datetime.fromisoformat(written).astimezone(UTC) if written else None
    return {
        "hats_builder": f"cosmic {__version__}",
        **({"hats_creation_date": f"{date:%Y-%m-%dT%H:%M}UTC"} if date else {}),
        "hats_estsize": size_bytes // 1024,
        "hats_version": HATS_VERSION,
    }


def _name(origin: Mapping[str, str]) -> str:
    return re.sub(r"[^\w.-]", "_", origin.get("cosmic.run") or PRIMARY, flags=re.ASCII)


def _lines(title: str, values: Mapping[str, object]) -> str:
    return "".join([f"#{title}\n", *(f"{key}={value}\n" for key, value in values.items())])
