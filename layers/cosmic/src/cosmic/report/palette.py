"""The figures' colours: those of a white page, and the same by name for a dark one.

Phases that follow each other, or that do where the one between is too short to be seen, differ by
20 or more in CIE Lab, with deuteranopia and protanopia too; so light and dark ones alternate.

A figure names its colours. In the page each is a CSS variable of the same name; on paper the light
ones are drawn.
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
    "cold-start": "#5b3f9a",
    "model": "#6fb0e6",
    "read-wait": "#a8590a",
    "compute": "#6fcf97",
    "write": "#5a3410",
    "fmi-wait": "#dc7fe6",
    "closing": "#3d4657",
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
    "cold-start": "#b79cf0",
    "model": "#2c5aa0",
    "read-wait": "#f2c063",
    "compute": "#1f7a50",
    "write": "#dcae80",
    "fmi-wait": "#a846ba",
    "closing": "#a9b6c9",
    "density-1": "#1c3350",
    "density-2": "#24486f",
    "density-3": "#2d5f93",
    "density-4": "#3d7ab5",
    "density-5": "#5b97d0",
    "density-6": "#86b6e4",
    "density-7": "#b5d4f2",
    "density-8": "#e6f2fd",
}
SHADES = tuple(f"density-{level}" for level in range(1, 9))


def css_name(name: str) -> str:
    """The colour's name for a phase, as in `FMI wait`."""
    return name.lower().replace(" ", "-")


def css_variables(colours: dict[str, str]) -> str:
    """Declarations of the colours as CSS variables."""
    return "".join(f"--{name}:{value};" for name, value in colours.items())
