"""How large a catalogue is, for who plans it: `init` imports this and not pyarrow."""

from cosmic.contracts.bands import BANDS

FITS_ROW_BYTES = 128  # of ids that are numbers; the sum over `catalogue_schema.COLUMNS`
FITS_BAND_BYTES = 8  # of a magnitude and its error


def fits_row_bytes(bands: int) -> int:
    """Bytes of a row of a catalogue of so many bands."""
    return FITS_ROW_BYTES + FITS_BAND_BYTES * (bands - len(BANDS))
