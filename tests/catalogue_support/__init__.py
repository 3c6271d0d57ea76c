"""Catalogues for tests."""
