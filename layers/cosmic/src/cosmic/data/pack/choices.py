"""What a person says of files that do not say it themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cosmic.contracts.bands import BANDS, Bands, check_bands, listed_bands
from cosmic.errors import InputError


@dataclass(frozen=True)
class Choices:
    """What a person says of a file that does not say it itself.

    Attributes:
        names: Column to the file's own name for it; a name for each band, with commas.
        image_scale: Nanomaggies of one unit of the file's pixels; None: they are nanomaggies.
        pixel_arcsec: Side of the file's pixels on the sky; None: what the file says, if anything.
        number_objects: Whether objects are numbered by row, their ids not taken.
        hdus: Names or numbers of the HDUs of FITS files that are read.
        groups: Names of the groups or datasets of HDF5 files that are read.
        without: Columns that are not taken although a file may have them.
        cutouts: Folder of one FITS file an object, or a `.npy` file of all images in the
            catalogue's order; None: images are in the files.
        cutout_name: The files' own name for the field that names an object's cutout; empty: ids do.
        cutout_hdus: Which HDU of a cutout is its image, or which ones are its bands.
        bands: That are taken, in this order; None: u, g, r, i and z, or those of the model.
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
        """The bands that are taken."""
        return self.bands or BANDS

    def for_model(self, bands: Bands) -> Choices:
        """The same for a model of these bands.

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
