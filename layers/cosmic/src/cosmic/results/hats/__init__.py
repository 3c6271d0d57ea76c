"""A catalogue as HATS, the layout of files by place on the sky that LSDB reads."""
