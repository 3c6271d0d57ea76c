"""`python -m cosmic.report DOCUMENT.json PAGE.html`: make the page of a document."""

from __future__ import annotations

import sys
from pathlib import Path

from cosmic.report.document import parse_document
from cosmic.report.page import page

if __name__ == "__main__":
    source, target = (Path(name) for name in sys.argv[1:])
    target.write_text(page(parse_document(source.read_bytes())), encoding="utf-8")
