"""The two tables of the source document, row by row: theirs, measured here, modelled for Lambda."""
