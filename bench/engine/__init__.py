"""Engines against the published loop, and how fast a fresh process gives its first redshifts."""
