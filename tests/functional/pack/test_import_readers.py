"""Readers that take long to import are imported for the files that they read alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from cosmic.data.pack.opening import import_readers

import_readers(sys.argv[1:])
print("astropy.io.fits" in sys.modules)
"""


@pytest.mark.parametrize(
    ("names", "imported"),
    [(["a.npz", "/b/c.FITS.GZ"], True), (["s3://b/o.fits"], True), (["a.npz"], False), ([], False)],
)
def test_astropy_is_imported_for_fits_alone(names: list[str], *, imported: bool) -> None:
    command = [sys.executable, "-c", PROGRAM, *names]
    said = subprocess.run(command, check=True, capture_output=True, text=True)
    assert said.stdout.strip() == str(imported)
