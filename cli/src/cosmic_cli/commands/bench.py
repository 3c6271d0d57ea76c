"""`cosmic bench`: the project's benchmarks, by name."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from cosmic.errors import InputError
from cosmic_cli.exit_codes import Exit, out, show_json
from cosmic_cli.options import AsJson

PARTS = ("__main__", "child", "rank", "server")


def bench(
    name: Annotated[
        str | None, typer.Argument(help="The benchmark; without it, lists them.")
    ] = None,
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Its arguments, after `--`.")
    ] = None,
    root: Annotated[Path, typer.Option(help="A checkout of the project.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Run one of the project's benchmarks; it prints its table as it goes.

    Benchmarks are part of a checkout, not of the installed package.

    Example: cosmic bench engine -- --rows 640 --rounds 1

    JSON: {"bench", "exit", "duration_s"}, the benchmark's own output goes to stderr; without a
    name {"benches": [name]}
    """
    known = benches(root)
    if name is None:
        if as_json:
            show_json({"benches": sorted(known)})
        else:
            out.print("\n".join(sorted(known)), highlight=False)
        return
    if name not in known:
        hint = f"one of {', '.join(sorted(known))}"
        raise InputError(f"there is no benchmark {name!r}", code="not-found", hint=hint)
    began = time.monotonic()
    command = [sys.executable, "-m", known[name], *(arguments or [])]
    done = subprocess.run(command, cwd=root, stdout=sys.stderr if as_json else None, check=False)
    if as_json:
        took = time.monotonic() - began
        show_json({"bench": name, "exit": done.returncode, "duration_s": took})
    raise typer.Exit(Exit.DONE if done.returncode == 0 else Exit.FAILED)


def benches(root: Path) -> dict[str, str]:
    """Name → module of the benchmarks of a checkout: what can be run as `python -m`.

    Raises:
        InputError: this is no checkout.
    """
    folder = root / "bench"
    if not (folder / "__init__.py").is_file():
        hint = "go into a checkout of the project, or give --root"
        raise InputError(f"{folder.resolve()} does not exist", code="not-found", hint=hint)
    packages = {p.parent.name: f"bench.{p.parent.name}" for p in folder.glob("*/__main__.py")}
    modules = {
        f"{path.parent.name}.{path.stem}": f"bench.{path.parent.name}.{path.stem}"
        for path in folder.glob("*/*.py")
        if path.stem not in PARTS and 'if __name__ == "__main__":' in path.read_text()
    }
    return {**packages, **modules}
