"""What a catalogue says of its origin, in both files."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pyarrow.parquet as pq
import pytest
from astropy.io import fits

from cosmic.results.catalogue_files import CatalogueWriter
from cosmic.storage.local import LocalOutput


@pytest.mark.parametrize("text", ["s3://b/données étoiles/", "s3://b/日本/", "s3://b/50%/a b"])
def test_where_the_data_came_from_is_said_in_full(text: str, tmp_path: Path) -> None:
    parquet, catalogue = tmp_path / "c.parquet", tmp_path / "c.fits"
    origin: dict[str, str | int] = {"cosmic.dataset": text, "cosmic.rowsin": 7}
    with (
        LocalOutput(parquet) as one,
        LocalOutput(catalogue) as other,
        CatalogueWriter(one, other, origin) as writer,
    ):
        writer.finish(origin)
    metadata = pq.ParquetFile(parquet).metadata.metadata
    header = fits.getheader(catalogue, 1)
    assert metadata[b"cosmic.dataset"].decode() == text
    assert unquote(header["DATASET"]) == text
    assert header["ROWSIN"] == 7
