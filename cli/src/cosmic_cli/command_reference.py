"""The reference of all commands, of their own help.

`python -m cosmic_cli.command_reference > docs/cli.md` makes the page.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import typer

from cosmic_cli.program import application

HEAD = """# Commands

Made by `python -m cosmic_cli.command_reference > docs/cli.md`; don't edit it.

`--local` acts on the stack of `cosmic local up`; without it a command acts on a stack in AWS, by
`--stack`, `--profile` and `--region` as every AWS tool takes them. `cosmic --install-completion`
sets up completion for bash, zsh, fish and PowerShell; `cosmic --version` prints the version.

## Output

Results go to standard output, progress and errors to standard error. With `--json` standard
output is one JSON document of the shape that the command's section gives, or empty if there was an
error.

An error is one line, `code: what (hint)`; a manifest's problems are a line each. With `--json` it
is one line of JSON on standard error:
`{"error": {"code", "message", "hint", "exit", "problems": […]}}`.

| exit code | means |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | invalid input: a manifest, a file, an option, a run that is not in the right state |
| 3 | the run ended, and rows are missing that its manifest tolerates |
| 4 | not found: a file, a run, a stack |
| 70 | a bug in cosmic: please report it with the file that the message names |
| 130 | interrupted; the message says which run goes on and how to cancel it |
"""


def reference() -> str:
    """The whole page."""
    group = typer.main.get_command(application())
    return HEAD + "".join(_sections("cosmic", group))


def _sections(path: str, command: Any) -> Iterator[str]:
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from _sections(f"{path} {name}", child)
        return
    yield f"\n## {path}\n\n{_prose(command.help or '')}\n"
    shown = [p for p in command.params if p.name != "help"]
    if shown:
        yield "\n| | default | |\n|---|---|---|\n"
    yield from (_row(parameter) for parameter in shown)


def _prose(text: str) -> str:
    """Paragraphs of a docstring; examples as code, shapes of JSON as they are."""
    paragraphs = []
    for paragraph in (" ".join(p.split()) for p in text.strip().split("\n\n")):
        kind, _, rest = paragraph.partition(": ")
        if kind == "Example":
            paragraphs.append(f"```bash\n{rest}\n```")
        elif kind == "JSON":
            paragraphs.append(f"JSON: `{rest.replace('`', '')}`")
        else:
            paragraphs.append(paragraph)
    return "\n\n".join(paragraphs)


def _row(parameter: Any) -> str:
    option = parameter.param_type_name == "option"
    name = ", ".join(f"`{o}`" for o in parameter.opts) if option else f"`{parameter.metavar}`"
    name = name if option or parameter.metavar else f"`{parameter.name.upper()}`"
    default = parameter.default
    given = default is None or default is False or parameter.required or callable(default)
    shown = "" if given or str(default).startswith("/") else f"`{default}`"
    help_text = (parameter.help or "").replace("|", "\\|")
    return f"| {name} | {shown} | {'required: ' if parameter.required else ''}{help_text} |\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
