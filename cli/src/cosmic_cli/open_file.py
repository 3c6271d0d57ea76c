"""Showing a file or a folder to the user."""

from __future__ import annotations

import webbrowser
from pathlib import Path


def open_file(path: Path) -> None:
    """Show a file or a folder in the browser that the system, or `BROWSER`, names."""
    webbrowser.open(path.resolve().as_uri())
