"""The whole pipeline on the local stack beside the bare loop over the same rows."""
