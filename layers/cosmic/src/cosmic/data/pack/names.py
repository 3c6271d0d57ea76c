"""The names that surveys, their archives and their users give to the columns that Cosmic needs."""

from __future__ import annotations

from dataclasses import dataclass

NAMES = {
    "image": ("image", "images", "image_array", "image.flux", "cutout", "cutouts"),
    "mag": ("mag", "mags", "magnitude", "magnitudes"),
    "mag_err": ("mag_err", "magerr", "mag_error", "magnitude_error", "magnitude_errors"),
    "object_id": (
        "object_id",
        "object_ids",
        "objectid",
        "objid",
        "obj_id",
        "id",
        "targetid",
        "target_id",
        "source_id",
        "sourceid",
        "coadd_object_id",
        "ls_id",
    ),
    "ra": (
        "ra",
        "ra_deg",
        "radeg",
        "ra_j2000",
        "raj2000",
        "ra_icrs",
        "alpha_j2000",
        "coord_ra",
        "ramean",
        "target_ra",
    ),
    "dec": (
        "dec",
        "dec_deg",
        "decdeg",
        "dedeg",
        "dec_j2000",
        "dej2000",
        "decj2000",
        "de_icrs",
        "dec_icrs",
        "delta_j2000",
        "coord_dec",
        "decmean",
        "target_dec",
    ),
    "z_spec": (
        "z_spec",
        "zspec",
        "spec_z",
        "specz",
        "z_sp",
        "redshift",
        "redshifts",
        "specz_redshift",
        "z",
    ),
}
WEIGHTS = ("ivar", "invvar", "weight", "weights", "wht", "err", "error", "sigma", "rms", "var")
NOT_PIXELS = frozenset((*WEIGHTS, "variance", "mask", "dq", "flag", "flags", "psf"))
BAND_NAMES = ("image_band", "image.band", "image_bands")
MAGNITUDES_BESIDE_Z = frozenset("ugri")


@dataclass(frozen=True)
class Photometry:
    """How one measurement in all bands is named; `{}` stands for the band, case does not matter.

    Attributes:
        values: Name of the magnitudes or fluxes; without `{}` it is one field of all bands.
        errors: Names of their errors.
        inverse_variances: Names of the fluxes' inverse variances.
        unit: Of the fluxes where a file does not say it; empty: these are magnitudes.
    """

    values: str
    errors: tuple[str, ...] = ()
    inverse_variances: tuple[str, ...] = ()
    unit: str = ""

    @property
    def uncertainties(self) -> tuple[str, ...]:
        """All names of what says how sure the values are."""
        return (*self.errors, *self.inverse_variances)


def _sdss() -> list[Photometry]:
    """SkyServer's PhotoObj and SpecPhoto, and the columns of its FITS files (fluxes as vectors)."""
    kinds = ("model", "cModel", "psf", "petro", "fiber", "fiber2", "deV", "exp")
    magnitudes = [Photometry(f"{k}Mag_{{}}", (f"{k}MagErr_{{}}",)) for k in kinds]
    magnitudes += [Photometry(f"{k}Mag", (f"{k}MagErr", f"{k}Mag_err")) for k in kinds]
    fluxes = [
        Photometry(f"{k}Flux{end}", (), (f"{k}FluxIvar{end}", f"{k}Flux_ivar{end}"), "nanomaggy")
        for k in (*kinds, "spectro")
        for end in ("_{}", "")
    ]
    return [
        Photometry("{}", ("err_{}", "{}_err", "{}err", "e_{}", "{}_error")),
        Photometry("dered_{}", ("err_{}", "modelMagErr_{}", "dered_err_{}")),
        *magnitudes,
        *fluxes,
    ]


def _legacy() -> list[Photometry]:
    """The Legacy Surveys' sweeps and Tractor catalogues, and DESI's targets, in nanomaggies."""
    errors = ("flux_err_{}", "fluxerr_{}")
    return [
        Photometry("flux_{}", errors, ("flux_ivar_{}",), "nanomaggy"),
        Photometry("dered_mag_{}", ("dered_mag_err_{}", "mag_err_{}")),
    ]


def _pan_starrs() -> list[Photometry]:
    kinds = ("MeanPSF", "MeanKron", "MeanAp", "PSF", "Kron", "Ap")
    return [Photometry(f"{{}}{k}Mag", (f"{{}}{k}MagErr",)) for k in kinds]


def _rubin_and_hsc() -> list[Photometry]:
    """The Rubin Observatory's Object table and HSC's archive; their fluxes are in nJy."""
    hsc = ("cmodel", "psfflux", "kronflux", "undeblended_psfflux")
    rubin = ("cModel", "psf", "kron", "gaap1p0", "gaapOptimal", "gaapPsf", "calib", "ap12")
    return [
        *(Photometry(f"{{}}_{k}_mag", (f"{{}}_{k}_magerr", f"{{}}_{k}_magsigma")) for k in hsc),
        *(Photometry(f"{{}}_{k}_flux", (f"{{}}_{k}_fluxerr",), (), "nJy") for k in hsc),
        *(Photometry(f"{{}}_{k}Flux", (f"{{}}_{k}FluxErr",), (), "nJy") for k in rubin),
        *(Photometry(f"{{}}_{k}Mag", (f"{{}}_{k}MagErr",)) for k in rubin),
    ]


def _others() -> list[Photometry]:
    """VizieR, the Dark Energy Survey, RAIL."""
    des = ("auto", "model", "cm", "psf", "detmodel")
    return [
        Photometry("{}mag", ("e_{}mag", "{}mag_err", "{}magerr")),
        Photometry("{}_mag", ("{}_mag_err", "{}_magerr", "e_{}_mag", "err_{}_mag")),
        *(Photometry(f"mag_{k}_{{}}", (f"magerr_{k}_{{}}", f"mag_err_{k}_{{}}")) for k in des),
        Photometry("mag_{}_lsst", ("mag_err_{}_lsst",)),
    ]


NAMED_BY_US = (
    Photometry("mag", ("mag_err", "magerr", "mag_error")),
    Photometry("mag_{}", ("mag_err_{}", "magerr_{}", "mag_error_{}")),
)
PHOTOMETRY = (*_sdss(), *_legacy(), *_pan_starrs(), *_rubin_and_hsc(), *_others())
