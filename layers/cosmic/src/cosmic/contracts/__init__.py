"""The documents and formats that the parts of a run agree on."""
