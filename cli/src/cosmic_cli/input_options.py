"""Options that say what files of data don't say themselves: shared by all that read such files."""

from __future__ import annotations

import functools
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cosmic.errors import InputError
from cosmic_cli.options import Command, with_options

if TYPE_CHECKING:
    from cosmic.data.pack.choices import Choices

_UNITS = {"": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}

CHOICES: dict[str, tuple[Any, Any]] = {
    "column": (
        Annotated[
            list[str] | None,
            typer.Option(
                metavar="OURS=THEIRS", help="The file's name of a column; a,b,c,… for bands."
            ),
        ],
        None,
    ),
    "bands": (
        Annotated[
            str | None,
            typer.Option(help="Bands to use, such as griz; by default the model's, or ugriz."),
        ],
        None,
    ),
    "without": (
        Annotated[list[str] | None, typer.Option(metavar="OURS", help="A column to leave out.")],
        None,
    ),
    "hdu": (
        Annotated[
            list[str] | None, typer.Option(metavar="NAME|N", help="HDU of a FITS file to read.")
        ],
        None,
    ),
    "group": (
        Annotated[
            list[str] | None, typer.Option(metavar="NAME", help="Group of an HDF5 file to read.")
        ],
        None,
    ),
    "image_scale": (
        Annotated[float | None, typer.Option(help="Nanomaggies per unit of the pixels.")],
        None,
    ),
    "pixel_scale": (
        Annotated[float | None, typer.Option(help="Side of the pixels, in arcseconds.")],
        None,
    ),
    "cutouts": (
        Annotated[
            Path | None,
            typer.Option(help="Folder with a FITS file per object, or .npy of all images."),
        ],
        None,
    ),
    "cutout_name": (
        Annotated[str, typer.Option(help="Column that names the cutouts; by default the ids do.")],
        "",
    ),
    "cutout_hdu": (
        Annotated[
            list[str] | None,
            typer.Option(
                metavar="NAME", help="HDU of a cutout to read; give several for its bands."
            ),
        ],
        None,
    ),
    "number_objects": (
        Annotated[
            bool,
            typer.Option("--number-objects", help="Number the objects instead of using their ids."),
        ],
        False,
    ),
    "unchecked_pixels": (
        Annotated[
            bool,
            typer.Option(
                "--unchecked-pixels", help="Accept pixels that disagree with the magnitudes."
            ),
        ],
        False,
    ),
}


def with_choices(command: Command) -> Command:
    """Give a command these options, and call it with `choices` and `check_pixels`."""

    @functools.wraps(command)
    def wrapped(**given: Any) -> None:
        said = {name: given.pop(name) for name in CHOICES}
        check_pixels = not said.pop("unchecked_pixels")
        command(choices=_choices(**said), check_pixels=check_pixels, **given)

    return with_options(wrapped, command, ("choices", "check_pixels"), CHOICES, own_first=True)


def _choices(**said: Any) -> Choices:
    """What was said, as the library takes it.

    Raises:
        InputError: it can't be understood.
    """
    from cosmic.contracts.bands import named_bands
    from cosmic.data.pack.choices import Choices

    image_scale = said["image_scale"]
    if image_scale is not None and not 0 < image_scale < math.inf:
        hint = "nanomaggies of one unit, a number above 0"
        raise InputError(f"--image-scale {image_scale}", code="usage", hint=hint)
    pixel_scale = said["pixel_scale"]
    if pixel_scale is not None and not 0 < pixel_scale < math.inf:
        hint = "arcseconds of a pixel's side, a number above 0"
        raise InputError(f"--pixel-scale {pixel_scale}", code="usage", hint=hint)
    choices = Choices(
        names=_pairs(said["column"] or []),
        image_scale=image_scale,
        pixel_arcsec=pixel_scale,
        number_objects=said["number_objects"],
        hdus=said["hdu"] or (),
        groups=said["group"] or (),
        without=_ours(said["without"]),
        cutouts=said["cutouts"],
        cutout_name=said["cutout_name"],
        cutout_hdus=said["cutout_hdu"] or (),
        bands=None if said["bands"] is None else named_bands(said["bands"]),
    )
    _check_cutouts(choices)
    return choices


def _check_cutouts(choices: Choices) -> None:
    """Refuse options that need --cutouts, or contradict it."""
    if choices.cutouts is None and (choices.cutout_name or choices.cutout_hdus):
        hint = "add --cutouts FOLDER"
        raise InputError("--cutout-name and --cutout-hdu have no effect", code="usage", hint=hint)
    if choices.cutouts is not None and "image" in choices.names:
        raise InputError(
            "--cutouts and --column image=… exclude each other",
            code="usage",
            hint="give one of them",
        )


def _pairs(words: list[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        ours, _, theirs = word.partition("=")
        _ours([ours], f"--column {word}")
        if not theirs or ours in pairs:
            why = "names no field" if not theirs else f"names {ours} again, after {pairs[ours]}"
            hint = "ours=theirs, each once; bands are ours=a,b,c,…"
            raise InputError(f"--column {word} {why}", code="usage", hint=hint)
        pairs[ours] = theirs
    return pairs


def _ours(words: list[str] | None, said: str | None = None) -> list[str]:
    """Names of columns.

    Raises:
        InputError: one is none.
    """
    from cosmic.contracts.columns import COLUMNS

    for word in words or []:
        if word not in COLUMNS:
            hint = f"ours is one of {', '.join(COLUMNS)}"
            raise InputError(said or f"--without {word}", code="usage", hint=hint)
    return words or []


def parse_size(text: str) -> int:
    """Bytes of a size such as `25MB`; KB, MB and GB are powers of 1,024, as partitions are named.

    Raises:
        InputError: It is not a positive whole number with an optional unit.
    """
    found = re.fullmatch(r"\s*([1-9]\d{0,14})\s*(KB|MB|GB)?\s*", text, re.IGNORECASE)
    if not found:
        raise InputError(f"size is {text!r}", hint="a number with KB, MB or GB, such as 25MB")
    return int(found[1]) * _UNITS[(found[2] or "").upper()]
