"""Bytes that are damaged on their way here are read again before anything is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cosmic.contracts.layout import RunFolder
from cosmic.contracts.location import Location
from cosmic.contracts.manifest import Data, Manifest, Model
from cosmic.contracts.plan import Plan, Slice, make_plan
from cosmic.contracts.plan_parts import part_of
from cosmic.data.stream import BlockReader
from cosmic.errors import CosmicError, InputError, TransientError
from cosmic.planning.inputs import RunInputs, inspect_inputs
from cosmic.ranks.environment import RankEnvironment
from cosmic.storage.etag import ETagCheck
from cosmic.storage.interfaces import StoredObject
from cosmic.storage.objects import Store
from cosmic.storage.run_store import PART_READS, RunStore

CHECKPOINT = Path(__file__).parents[2] / "models/tiny/astromae-tiny.safetensors"
ROWS = 64


class Spoiling(Store):
    """S3 whose first replies to each range have a flipped bit."""

    def __init__(self, store: Store, times: int, *, elsewhere: bool = False) -> None:
        super().__init__(store._s3)
        self._times, self._elsewhere = times, elsewhere
        self._seen: dict[tuple[str, int], int] = {}

    def read_into(self, target: memoryview, at: Location, offset: int, *, etag: str) -> None:
        """Read, then spoil the last byte, or each time another."""
        super().read_into(target, at, offset, etag=etag)
        seen = self._seen.get((at.key, offset), 0)
        self._seen[at.key, offset] = seen + 1
        if seen < self._times:
            target[-1 - seen * self._elsewhere] ^= 1


@pytest.fixture
def plan(
    store: Store,
    bucket: str,
    put_partition: Callable[..., Location],
    make_columns: Callable[..., Any],
) -> Plan:
    put_partition("d/0.safetensors", make_columns(ROWS, size=32))
    store.upload(CHECKPOINT, Location(bucket, "m"))
    data, model = Data(uri=f"s3://{bucket}/d/"), Model(uri=f"s3://{bucket}/m")
    found = inspect_inputs(store, data, model)
    assert found.model, found.problems
    manifest = Manifest(version=1, job="again", model=model, data=data)
    return make_plan("r", manifest, found.model, found.partitions, world_size=1, channel="none")


def rows_of(store: Store, plan: Plan) -> list[Any]:
    reader = BlockReader(store, plan.partitions, plan.batch_size)
    with reader.blocks([Slice(partition=0, start=0, stop=ROWS)]) as blocks:
        return [block.columns["image"] for block in blocks]


def test_rows_and_headers(store: Store, plan: Plan) -> None:
    np.testing.assert_array_equal(rows_of(Spoiling(store, 1), plan), rows_of(store, plan))


class SpoilingList(Store):
    """S3 whose listings have a flipped bit in what they say of each object."""

    def __init__(self, store: Store, **other: Any) -> None:
        super().__init__(store._s3)
        self._other = other

    def list(self, at: Location) -> Iterator[StoredObject]:
        """List, spoilt."""
        return (replace(found, **self._other) for found in super().list(at))


@pytest.mark.parametrize("other", [{"etag": '"0"'}, {"bytes": 17}, {"bytes": 1 << 40}])
def test_a_listing(store: Store, plan: Plan, bucket: str, other: dict[str, Any]) -> None:
    model, data = Model(uri=f"s3://{bucket}/m"), Data(uri=f"s3://{bucket}/d/")
    found = inspect_inputs(SpoilingList(store, **other), data, model)
    assert found.problems == []
    assert tuple(found.partitions) == plan.partitions


@pytest.mark.parametrize("times", [0, 1, 2, 3])
def test_a_rank_s_part_of_the_plan(store: Store, plan: Plan, bucket: str, times: int) -> None:
    run = RunStore(SpoilingStart(store, times), RunFolder(bucket, "runs/", plan.run))
    run.items_once(plan)
    if times < PART_READS:
        assert run.part(0) == part_of(plan, 0)
    else:
        with pytest.raises(InputError, match=r"plan\.parts is damaged"):
            run.part(0)


class SpoilingStart(Store):
    """S3 whose first replies have a flipped bit, each time another."""

    def __init__(self, store: Store, times: int) -> None:
        super().__init__(store._s3)
        self._times, self._seen = times, 0

    def read_into(self, target: memoryview, at: Location, offset: int, *, etag: str) -> None:
        """Read, then spoil."""
        super().read_into(target, at, offset, etag=etag)
        if self._seen < self._times:
            target[8 + self._seen] ^= 1  # behind the length: packed text, which has a checksum
        self._seen += 1


class SpoilingRows(Spoiling):
    """S3 that spoils all but the header."""

    def read_into(self, target: memoryview, at: Location, offset: int, *, etag: str) -> None:
        """Read, then spoil."""
        read = Spoiling.read_into if offset else Store.read_into
        read(self, target, at, offset, etag=etag)


@pytest.mark.parametrize(("elsewhere", "family"), [(False, InputError), (True, TransientError)])
def test_what_differs_each_time_is_damaged_on_its_way(
    store: Store, plan: Plan, elsewhere: bool, family: type[CosmicError]
) -> None:
    with pytest.raises(CosmicError) as caught:
        rows_of(SpoilingRows(store, 9, elsewhere=elsewhere), plan)
    assert (type(caught.value), caught.value.code) == (family, "bad-checksum")


def test_a_header_that_is_damaged_every_time_is_refused(store: Store, plan: Plan) -> None:
    with pytest.raises(InputError):
        rows_of(Spoiling(store, 9), plan)


def plan_under(
    store: Store, bucket: str, times: int, sha256: str | None = None, **spoilt: Any
) -> RunInputs:
    """What `init` finds where the first replies of each range are damaged."""
    spoiling = SpoilingModel(store, times, **spoilt)
    model = Model(uri=f"s3://{bucket}/m", sha256=sha256)
    return inspect_inputs(spoiling, Data(uri=f"s3://{bucket}/d/"), model)


class SpoilingModel(Spoiling):
    """S3 that spoils the model alone."""

    def read_into(self, target: memoryview, at: Location, offset: int, *, etag: str) -> None:
        """Read, then spoil."""
        read = Spoiling.read_into if at.key == "m" else Store.read_into
        read(self, target, at, offset, etag=etag)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("times", [0, 1, 3])
def test_a_model_on_its_way_to_init(
    store: Store, plan: Plan, bucket: str, times: int, given: bool
) -> None:
    found = plan_under(store, bucket, times, plan.model.sha256 if given else None, elsewhere=True)
    assert found.problems == []
    assert found.model
    assert found.model.sha256 == plan.model.sha256


def test_a_model_that_is_damaged_each_time_in_another_way(
    store: Store, plan: Plan, bucket: str
) -> None:
    with pytest.raises(TransientError, match="4 readings gave 4 different files"):
        plan_under(store, bucket, 9, elsewhere=True)


def test_a_model_whose_beginning_is_damaged_on_its_way(
    store: Store, plan: Plan, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Store.read_into
    seen: list[int] = []

    def spoil(self: Store, target: memoryview, at: Location, offset: int, *, etag: str) -> None:
        whole(self, target, at, offset, etag=etag)
        if at.key == "m" and offset == 0 and not seen:
            seen.append(target[0])
            target[0] ^= 1  # of the length of the header

    monkeypatch.setattr(Store, "read_into", spoil)
    found = plan_under(store, bucket, 0)
    assert seen
    assert found.model
    assert found.model.sha256 == plan.model.sha256


def test_another_model_than_the_manifest_names_is_refused(
    store: Store, plan: Plan, bucket: str
) -> None:
    (problem,) = plan_under(store, bucket, 0, "0" * 64).problems
    assert problem.code == "checksum-differs"


def test_a_model_whose_etag_is_no_hash_of_it_is_read_twice(
    store: Store, plan: Plan, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ETagCheck, "matches", False)  # as of an object under a KMS key
    assert plan_under(store, bucket, 1).problems == []


@pytest.mark.parametrize("times", [0, 1, 2, 9])
def test_a_model(store: Store, plan: Plan, times: int) -> None:
    variables = {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769"}
    spoiling = Spoiling(store, times)
    function = RankEnvironment.from_environment(variables, spoiling, secrets=None)  # type: ignore[arg-type]
    if times > 2:
        with pytest.raises(InputError, match="the checkpoint's sha256 is"):
            function.engine(plan)
    else:
        assert function.engine(plan).name == plan.engine
