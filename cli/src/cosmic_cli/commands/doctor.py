"""`cosmic doctor`: what this machine lacks."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from cosmic_cli.doctor import Check, aws_stack, checks
from cosmic_cli.exit_codes import Exit, out, show_json
from cosmic_cli.options import AsJson


def doctor(
    root: Annotated[Path, typer.Option(help="The project's folder.")] = Path(),
    stack: Annotated[str | None, typer.Option(help="Also check this stack in AWS.")] = None,
    profile: Annotated[str | None, typer.Option(help="AWS profile.")] = None,
    region: Annotated[str | None, typer.Option(help="AWS region.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check what this machine needs to run Cosmic, and how to get what is missing.

    Exits with 1 if something required is missing. AWS is checked only with --stack.

    Example: cosmic doctor --stack cosmic-dev --region eu-central-1

    JSON: {"ok", "checks": [{"name", "ok", "needed", "detail", "why", "way_out"}]}
    """
    aws = partial(aws_stack, stack, profile, region) if stack is not None else None
    found = []
    for check in checks(root, aws):
        found.append(check)
        if not as_json:
            out.print(_line(check), soft_wrap=True)
    ok = all(check.ok or not check.needed for check in found)
    if as_json:
        show_json({"ok": ok, "checks": [asdict(check) for check in found]})
    raise typer.Exit(Exit.DONE if ok else Exit.FAILED)


def _line(check: Check) -> Text:
    word, style = ("ok", "green") if check.ok else ("missing", "red" if check.needed else "yellow")
    text = Text.assemble((f"{word:8}", style), f"{check.name}: {check.detail}")
    if not check.ok:
        needed = "needed: " if check.needed else "not needed here: "
        text.append(f" ({needed}{check.why}; {check.way_out})")
    return text
