"""The card of a model that was trained on a user's own data, as JSON and as a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cosmic.model.training.card import CARD_FILE, README_FILE, domain_row


def write_own_card(folder: Path, card: dict[str, Any]) -> None:
    """Write `card.json` and the `README.md` made of it."""
    (folder / CARD_FILE).write_text(json.dumps(card, indent=2) + "\n")
    (folder / README_FILE).write_text(own_readme(card))


def own_readme(card: dict[str, Any]) -> str:
    """The card as a page."""
    data, test = card["data"], card["tests"]["test"]
    objects, s = data["objects"], test["scores"]
    low, high = card["z_range"]
    side = card["architecture"]["image_size"]
    shares = (s[name] for name in ("outliers_005", "outliers_015", "coverage_68"))
    percents = " | ".join(f"{100 * share:.2f} %" for share in shares)
    return f"""# {card["name"]}

An AstroMAE (arXiv 2409.01825) of {card["parameters"]:,} parameters, trained on own data:
photometric redshifts from {side} x {side} pixels of each of the bands
{", ".join(data["bands"])}, of
{data["pixel_arcsec"]:g} arcseconds, and as many asinh magnitudes.

| | |
|---|---|
| file | `{card["name"]}.safetensors` |
| sha256 | `{card["sha256"]}` |
| command | `{card["training"]["command"]}` |
| training data sha256 | `{card["training_data_sha256"]}` |
| objects | {objects["train"]:,} learned from, {objects["validation"]:,} to know when to stop, \
{objects["calibration"]:,} to calibrate, {objects["test"]:,} to test; \
{data["left_out_without_z_spec"]:,} without a z_spec left out |
| redshifts | {low:.3f} to {high:.3f}; beyond them objects are flagged `OUT_OF_RANGE` |
{domain_row(card.get("domain"))}

| N | σ_NMAD | R² | mean bias | outliers > 0.05 | > 0.15 | within z_phot_err |
|---|---|---|---|---|---|---|
| {s["n"]:,} | {s["sigma_nmad"]:.4f} | {s["r2"]:.3f} | {s["bias"]:+.4f} | {percents} |

{_pz_line(test["pz"])}

The test objects had no part in training, stopping or calibrating. Objects are split by a hash of
their ids, so equal ids are in one part. dz = (z_phot - z_spec) / (1 + z_spec);
σ_NMAD = 1.4826 · MAD(dz).
"""


def _pz_line(pz: dict[str, Any]) -> str:
    if not pz["n"]:
        return "p(z) is not calibrated: there were too few objects."
    shares = ", ".join(f"{100 * share:.1f} % (of {name})" for name, share in pz["coverage"].items())
    return (
        f"p(z): inside the central intervals {shares}; mean CRPS {pz['crps']:.4f}, "
        f"CDE loss {pz['cde_loss']:.1f}."
    )
