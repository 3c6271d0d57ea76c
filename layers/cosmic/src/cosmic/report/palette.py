"""The figures' colours: those of a white page, and the same by name for a dark one.

A figure is drawn in the light colours. In the page each becomes a CSS variable of the same name, so
no two names may share a colour.
"""

from __future__ import annotations

LIGHT = {
    "ink": "#1b2333",
    "muted": "#556074",
    "rule": "#d9dee6",
    "paper": "#ffffff",
    "spec": "#b3471d",
    "phot": "#1d5c9e",
    "bar": "#8fb4d9",
    "queued": "#c3cad5",
    "cold-start": "#8a6fc0",
    "model": "#4f7fb5",
    "read-wait": "#e3a02f",
    "compute": "#2f8f63",
    "write": "#8c5a2b",
    "fmi-wait": "#cf4560",
    "closing": "#6e7a8c",
    "density-1": "#d3e2f2",
    "density-2": "#aecbe6",
    "density-3": "#83aed7",
    "density-4": "#5b90c5",
    "density-5": "#3a71ad",
    "density-6": "#24548c",
    "density-7": "#153a69",
    "density-8": "#0b2347",
}
DARK = {
    "ink": "#e8ecf3",
    "muted": "#a3aec0",
    "rule": "#333d4d",
    "paper": "#171d27",
    "spec": "#f08a5d",
    "phot": "#6fb1f2",
    "bar": "#41668f",
    "queued": "#4a5568",
    "cold-start": "#a58be0",
    "model": "#6f9fd6",
    "read-wait": "#ecb451",
    "compute": "#4fb585",
    "write": "#b98552",
    "fmi-wait": "#ea6d84",
    "closing": "#8e9bb0",
    "density-1": "#1c3350",
    "density-2": "#24486f",
    "density-3": "#2d5f93",
    "density-4": "#3d7ab5",
    "density-5": "#5b97d0",
    "density-6": "#86b6e4",
    "density-7": "#b5d4f2",
    "density-8": "#e6f2fd",
}
DENSITY = tuple(LIGHT[f"density-{level}"] for level in range(1, 9))


def css_name(name: str) -> str:
    """The colour's name for a phase, as in `FMI wait`."""
    return name.lower().replace(" ", "-")


def css_variables(colours: dict[str, str]) -> str:
    """Declarations of the colours as CSS variables."""
    return "".join(f"--{name}:{value};" for name, value in colours.items())
