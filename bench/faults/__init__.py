"""A bounded campaign of faults against the whole pipeline on this machine."""
