"""A picture of one object, as the page's document has it."""

from __future__ import annotations

from cosmic.contracts.contract import Contract


class Cutout(Contract):
    """An object's picture.

    Attributes:
        group: Why it is shown.
        png: The picture in base64.
        z_phot, z_spec: None where there is none.
    """

    group: str
    object_id: str
    flags: int
    z_phot: float | None
    z_spec: float | None
    png: str
