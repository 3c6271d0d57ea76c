"""Reference pages that are made from the code: `python -m cosmic_cli.reference docs`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosmic.contracts.manifest import manifest_schema

BEGIN, END = "<!-- made by cosmic_cli.reference -->\n", "<!-- end -->\n"
LIMITS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "minItems": "at least {} of them",
}
Schema = dict[str, Any]


def write_manifest_reference(docs: Path) -> None:
    """Write the manifest's JSON Schema, and its table into `manifest.md` between the marks."""
    schema = json.dumps(manifest_schema(), indent=2, ensure_ascii=False) + "\n"
    (docs / "manifest.schema.json").write_text(schema)
    page = docs / "manifest.md"
    page.write_text(_between_marks(page.read_text(), manifest_table()))


def manifest_table() -> str:
    """The manifest's fields as a Markdown table."""
    schema = manifest_schema()
    rows = ["| field | values | default | meaning |", "|---|---|---|---|"]
    rows += ["| " + " | ".join(row) + " |" for row in _rows(schema, schema["$defs"], "")]
    return "\n".join(rows) + "\n"


def _rows(schema: Schema, parts: dict[str, Schema], prefix: str) -> Iterator[tuple[str, ...]]:
    required = schema.get("required", ())
    for name, field in schema["properties"].items():
        reference = field.get("$ref", "").rpartition("/")[2]
        if reference:
            yield from _rows(parts[reference], parts, f"{prefix}{name}.")
            continue
        default = field.get("default")
        shown = "required" if name in required else "" if default is None else _code(default)
        yield f"`{prefix}{name}`", _values(field), shown, field.get("description", "")


def _values(field: Schema) -> str:
    options = [o for o in field.get("anyOf", [field]) if o.get("type") != "null"]
    return " or ".join(_one_kind(option) for option in options)


def _one_kind(field: Schema) -> str:
    if "const" in field:
        return _code(field["const"])
    if "enum" in field:
        return ", ".join(_code(value) for value in field["enum"])
    limits = [text.format(f"{field[key]:g}") for key, text in LIMITS.items() if key in field]
    return ", ".join([str(field["type"]), *limits])


def _code(value: object) -> str:
    return f"`{json.dumps(value)}`"


def _between_marks(text: str, made: str) -> str:
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page lacks the marks {BEGIN!r} and {END!r}")
    return before + begin + "\n" + made + "\n" + end + after


if __name__ == "__main__":
    write_manifest_reference(Path(sys.argv[1]))
