"""What a person says of files that do not say it themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Choices:
    """What a person says of a file that does not say it itself.

    Attributes:
        names: Column to the file's own name for it; five names with commas are five bands.
        image_scale: Nanomaggies of one unit of the file's pixels; None: they are nanomaggies.
        pixel_arcsec: Side of the file's pixels on the sky; None: what the file says, if anything.
        number_objects: Whether objects are numbered by row, their ids not taken.
        hdus: Names or numbers of the HDUs of FITS files that are read.
        groups: Names of the groups or datasets of HDF5 files that are read.
        without: Columns that are not taken although a file may have them.
        cutouts: Folder of one FITS file an object, or a `.npy` file of all images in the
            catalogue's order; None: images are in the files.
        cutout_name: The files' own name for the field that names an object's cutout; empty: ids do.
        cutout_hdus: Which HDU of a cutout is its image, or which five are its bands.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    image_scale: float | None = None
    number_objects: bool = False
    hdus: Sequence[str] = ()
    groups: Sequence[str] = ()
    without: Sequence[str] = ()
    cutouts: Path | None = None
    cutout_name: str = ""
    cutout_hdus: Sequence[str] = ()
    pixel_arcsec: float | None = None
