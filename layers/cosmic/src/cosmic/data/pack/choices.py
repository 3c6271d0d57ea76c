"""What a person says of files that do not say it themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cosmic.contracts.bands import BANDS, Bands, check_bands, listed_bands
from cosmic.errors import InputError


@dataclass(frozen=True)
class Choices:
    """What the user says about files that don't say it themselves.

    Attributes:
        names: The file's own name for each column; one name per band, with commas.
        image_scale: Nanomaggies of one unit of the file's pixels; None: they are nanomaggies.
        pixel_arcsec: Side of the file's pixels on the sky; None: what the file says, if anything.
        number_objects: Whether to number objects by row instead of reading their ids.
        hdus: Names or numbers of the HDUs of FITS files that are read.
        groups: Names of the groups or datasets of HDF5 files that are read.
        without: Columns to leave out even if a file has them.
        cutouts: Folder with one FITS file per object, or a `.npy` file of all images in the
            catalogue's order; None: images are in the files.
        cutout_name: The files' own name for the field that names an object's cutout; empty: ids do.
        cutout_hdus: Which HDU of a cutout is its image, or which ones are its bands.
        bands: The bands to read, in this order; None: u, g, r, i and z, or those of the model.
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
    bands: Bands | None = None

    def __post_init__(self) -> None:
        """Refuse what can't be names of bands."""
        if self.bands is not None:
            check_bands(self.bands)

    @property
    def wanted_bands(self) -> Bands:
        """The bands to read."""
        return self.bands or BANDS

    def for_model(self, bands: Bands) -> Choices:
        """The same choices for a model of these bands.

        Raises:
            InputError: others were asked for.
        """
        if self.bands not in (None, bands):
            raise InputError(
                f"the model takes {listed_bands(bands)}, not {listed_bands(self.wanted_bands)}",
                code="other-bands",
                hint="leave --bands out, or give a model of these bands",
            )
        return replace(self, bands=None if bands == BANDS else bands)
