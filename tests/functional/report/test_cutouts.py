"""Cutouts on the page: the right rows and pixels, bounded reads, and no harm if they fail."""

from __future__ import annotations

import base64
import io
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from cosmic.contracts.catalogue_schema import SCHEMA, redshifts_of
from cosmic.contracts.location import Location
from cosmic.contracts.plan import Plan, PlannedPartition, RankPlan, Slice
from cosmic.report.cutout import Cutout
from cosmic.report.cutout_choice import EACH, FLAGGED, RANDOM, WORST, Chosen, CutoutChoice
from cosmic.report.cutouts import SIDE, channels, composite, png, read_cutouts
from cosmic.report.page import MAX_PAGE_BYTES, page
from cosmic.storage.objects import Store
from plan_support import small_plan
from report_support.samples import sample

ROWS = 40


def pixels_of(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(data)))


def catalogue(rows: int) -> pa.Table:
    """Rows of two partitions; those with a z_spec of 0.5 are the worse the further down."""
    columns: dict[str, Any] = {
        "object_id": np.arange(rows) + 1000,
        "partition": np.arange(rows) * 2 // rows,
        "row": np.arange(rows) % (rows // 2),
        "flags": np.where(np.arange(rows) % 9 == 4, 2, 0),
        "z_phot": np.full(rows, 0.1),
        "z_spec": np.where(np.arange(rows) % 10 == 3, 0.5 + np.arange(rows) / 100, np.nan),
    }
    made = [
        pa.array(columns[f.name], from_pandas=True).cast(f.type)
        if f.name in columns
        else pa.nulls(rows, f.type)
        for f in SCHEMA
    ]
    return pa.table(made, schema=pa.schema([f.with_nullable(True) for f in SCHEMA]))


def see(choice: CutoutChoice, table: pa.Table) -> None:
    z_phot, z_spec, _ = redshifts_of(table)
    choice.see(table, z_phot, z_spec)


@pytest.mark.parametrize("group", [1, 7, 200])
def test_the_choice_does_not_depend_on_how_the_rows_come(group: int) -> None:
    table, choice = catalogue(200), CutoutChoice()
    for at in range(0, table.num_rows, group):
        see(choice, table.slice(at, group))
    found = choice.chosen()
    worst = [one.object_id for one in found if one.group == WORST]
    assert worst == [str(1000 + i) for i in (193, 183, 173, 163, 153, 143)]
    assert [one.flags for one in found if one.group == FLAGGED] == [2] * EACH
    whole = CutoutChoice()
    see(whole, table)
    assert found == whole.chosen()
    assert len({one.object_id for one in found if one.group == RANDOM}) == EACH


def test_random_ones_come_from_everywhere() -> None:
    choice = CutoutChoice()
    table = catalogue(20_000)
    see(choice, table)
    at = [one.partition * 10_000 + one.row for one in choice.chosen() if one.group == RANDOM]
    assert np.ptp(at) > 5_000


def test_a_png_holds_its_pixels() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (5, 7, 3), np.uint8)
    np.testing.assert_array_equal(pixels_of(png(pixels)), pixels)


@pytest.mark.parametrize(("band", "channel"), [(3, 0), (2, 1), (1, 2)], ids=["i", "r", "g"])
def test_bands_are_colours_and_the_first_row_is_the_lowest(band: int, channel: int) -> None:
    image = np.random.default_rng(0).normal(0, 1, (5, 64, 80))
    image[band, 10, 20] = 300.0  # 2 from the lower edge of the middle, 4 from its left
    made = composite(image.astype(np.float32))
    assert made.shape == (SIDE, SIDE, 3)
    y, x = SIDE - 1 - (10 - 8), 20 - 16
    assert made[y, x, channel] == made.max() > 150
    assert made[y, x].sum() - made[y, x, channel] < 20


@pytest.mark.parametrize("value", [0.0, 5.0, np.nan, np.inf])
def test_an_image_without_a_signal_is_black(value: float) -> None:
    assert not composite(np.full((5, 8, 8), value, np.float32)).any()


@pytest.fixture
def plan(
    store: Store,
    bucket: str,
    put_partition: Callable[..., Location],
    make_columns: Callable[..., Any],
) -> Plan:
    """A run over two partitions of `ROWS` rows, the second of which has changed since."""
    places = [put_partition(f"d/{i}", make_columns(ROWS, seed=i)) for i in range(2)]
    planned = [
        PlannedPartition(
            bucket=bucket,
            key=at.key,
            etag=store.head(at).etag if i == 0 else '"earlier"',
            bytes=store.head(at).bytes,
            rows=ROWS,
            row_bytes=1,
        )
        for i, at in enumerate(places)
    ]
    return small_plan(
        [ROWS, ROWS],
        partitions=tuple(planned),
        ranks=(RankPlan(rank=0, slices=(Slice(partition=0, start=0, stop=ROWS),)),),
    )


def chosen(partition: int, row: int) -> Chosen:
    return Chosen(RANDOM, str(row), partition, row, 0, 0.1, None)


def test_the_pictures_are_those_of_the_rows_and_little_else_is_read(
    store: Store, plan: Plan, make_columns: Callable[..., Any]
) -> None:
    images = make_columns(ROWS, seed=0)["image"]
    before = store.requests
    found = read_cutouts([chosen(0, row) for row in (3, 17)], plan, store, 60)
    assert [one.object_id for one in found] == ["3", "17"]
    for one, row in zip(found, (3, 17), strict=True):
        drawn = pixels_of(base64.b64decode(one.png))
        np.testing.assert_array_equal(drawn, composite(images[row]))
    assert store.requests.since(before).reads <= 2 + 2 * 2, "a row each, the header once or twice"


def test_what_can_not_be_read_is_left_out(store: Store, plan: Plan) -> None:
    gone = plan.partitions[0].model_copy(update={"key": "d/gone"})
    lacking = plan.model_copy(update={"partitions": (*plan.partitions, gone)})
    wanted = [chosen(1, 0), chosen(2, 0), chosen(3, 0), chosen(0, ROWS + 7), chosen(0, 5)]
    assert [one.object_id for one in read_cutouts(wanted, lacking, store, 60)] == ["5"]


def test_reading_that_hangs_is_waited_for_no_longer(plan: Plan) -> None:
    end = threading.Event()

    class Hangs:
        def paid_by(self, _: Any) -> Hangs:
            return self

        def get_range(self, *_: Any, **__: Any) -> bytes:
            end.wait()
            raise ValueError

    try:
        assert read_cutouts([chosen(0, 1)], plan, Hangs(), 0.05) == ()  # type: ignore[arg-type]
    finally:
        end.set()


def test_the_page_shows_them_by_group_and_stays_small() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    picture = base64.b64encode(png(noise)).decode()
    cutouts = tuple(
        Cutout(group=g, object_id=str(i), flags=2, z_phot=0.1234, z_spec=None, png=picture)
        for g in (WORST, FLAGGED, RANDOM)
        for i in range(EACH)
    )
    document = sample(2000, 1_000_000)
    text = page(document.model_copy(update={"cutouts": cutouts}))
    assert text.count(f'src="data:image/png;base64,{picture}"') == 3 * EACH
    assert "<h3>Largest |dz|</h3>" in text
    assert "z_phot 0.1234" in text
    assert len(text.encode()) < MAX_PAGE_BYTES
    assert 'id="cutouts"' not in page(document.model_copy(update={"cutouts": ()}))


@pytest.mark.parametrize(
    ("bands", "expected"),
    [("ugriz", (3, 2, 1)), ("griz", (2, 1, 0)), ("rizy", (3, 1, 0)), ("gr", (1, 0, 0))],
)
def test_colours_follow_the_bands(bands: str, expected: tuple[int, int, int]) -> None:
    assert channels(tuple(bands)) == expected
