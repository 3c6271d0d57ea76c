"""Pages and plots of runs whose metrics are undefined, absent or absurd."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cosmic.metrics.photo_z import photo_z_metrics
from cosmic.report.document import ReportDocument, parse_document
from cosmic.report.headline import headline
from cosmic.report.histograms import bin_redshifts
from cosmic.report.page import page
from cosmic.report.tables import metrics_table
from report_support.samples import sample


def document(z_phot: np.ndarray, z_spec: np.ndarray) -> ReportDocument:
    """A run's document with these redshifts, sent through JSON as a run's own is."""
    with np.errstate(over="ignore"):
        z = np.stack([z_phot, z_spec, np.full(len(z_phot), 17.0)]).astype(np.float32)
    photo_z = photo_z_metrics(*z)
    found = sample(1, 100)
    width = (
        {"bias": photo_z["rail"]["bias_median"], "sigma": photo_z["sigma_nmad"]}
        if photo_z["n"]
        else {}
    )
    changes = {
        "metrics": {**found.metrics, "photo_z": photo_z},
        "binned": bin_redshifts([z], **width),
    }
    return parse_document(found.model_copy(update=changes).model_dump_json().encode())


def test_a_page_of_equal_redshifts_says_that_r2_is_undefined() -> None:
    found = document(np.linspace(0.1, 0.2, 40), np.full(40, 0.15))
    (tile,) = [t for t in headline(found) if t.name == "R²"]
    assert (tile.value, tile.note) == ("–", "all z_spec are equal")
    assert "<html" in page(found)


def test_a_page_of_implausible_redshifts_says_why_there_are_no_metrics() -> None:
    z_phot = np.linspace(0.1, 0.2, 40)
    z_phot[:10] = np.nan
    text = page(document(z_phot, np.full(40, -9.0)))
    assert (
        "There are no metrics: no object has both redshifts: "
        "10 without a prediction, 30 with an implausible z_spec." in text
    )


@pytest.mark.parametrize("outlier", [1e5, 3e38])
def test_a_page_of_huge_outliers_is_made(outlier: float) -> None:
    z_phot = np.linspace(0.1, 0.2, 40)
    z_phot[:30] = outlier
    found = document(z_phot, np.linspace(0.1, 0.2, 40))
    assert max(len(value) for *_, value in metrics_table(found.metrics["photo_z"]).rows) < 15
    text = page(found)
    assert not re.search(r"\d{30}", text)
    assert not re.search(r"\b(nan|inf)\b", text, re.IGNORECASE)


def test_the_metrics_table_says_what_was_left_out() -> None:
    z_spec = np.linspace(0.1, 0.2, 40)
    z_spec[:3] = (-1, 99, np.nan)
    caption = metrics_table(document(np.full(40, 0.1), z_spec).metrics["photo_z"]).caption
    assert caption == (
        "Metrics of the 37 objects that have both redshifts; left out: 1 without a z_spec, "
        "2 with an implausible z_spec"
    )
