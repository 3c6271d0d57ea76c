"""Partitions: the files that a data set is made of, read by row range."""
