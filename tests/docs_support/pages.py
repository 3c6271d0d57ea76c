"""The documentation's fenced blocks, and which of them are commands to run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name for name in ("cli/README.md", "findings/README.md")),
        *ROOT.glob("layers/*/README.md"),
    ]
)
FENCE = re.compile(
    r"(?:^<!-- not run: (?P<reason>.+?) -->\n)?^```(?P<language>\w*)\n(?P<body>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
REASONS = {
    "needs AWS",
    "needs a container engine",
    "installs packages",
    "takes minutes",
    "runs until it is stopped",
    "runs in CI as it is",
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `reason` says why its commands aren't run."""

    page: Path
    language: str
    body: str
    reason: str | None


def blocks(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    return [
        Block(page, m["language"], m["body"], m["reason"]) for m in FENCE.finditer(page.read_text())
    ]


def commands(page: Path) -> str:
    """The commands of a page that are run, in their order."""
    return "".join(b.body for b in blocks(page) if b.language == "sh" and b.reason is None)


def name(page: Path) -> str:
    """A page's path in the project."""
    return str(page.relative_to(ROOT))
