"""How large a catalogue is, for who plans it: `init` imports this and not pyarrow."""

FITS_ROW_BYTES = 128  # of ids that are numbers; the sum over `catalogue_schema.COLUMNS`
