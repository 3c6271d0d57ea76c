"""Whether a rank is taken for dead: by change alone, and by what this rank itself has seen."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from fmilib.channels.store.crypto import seal, unseal
from fmilib.channels.store.lease import LeaseWatch
from fmilib.channels.store.local import LocalStore


def test_a_number_that_grows_is_life() -> None:
    watch = LeaseWatch(1, gap_s=2.0)
    assert [watch.quiet_s(beat, float(beat)) for beat in range(20)] == [0.0] * 20


def test_a_number_that_stands_still_is_counted_from_the_first_look() -> None:
    watch = LeaseWatch(1, gap_s=2.0)
    assert [watch.quiet_s(7, at) for at in (1000.0, 1001.0, 1002.0, 1003.5)] == [0.0, 1.0, 2.0, 3.5]
    assert watch.quiet_s(8, 1004.0) == 0.0


def test_an_older_number_is_no_life() -> None:
    watch = LeaseWatch(1, gap_s=2.0)
    watch.quiet_s(7, 0.0)
    assert watch.quiet_s(3, 1.0) == 1.0
    assert watch.quiet_s(7, 2.0) == 2.0


def test_time_in_which_this_rank_was_frozen_itself_does_not_count() -> None:
    watch = LeaseWatch(1, gap_s=2.0)
    watch.quiet_s(7, 0.0)
    assert watch.quiet_s(7, 3600.0) == 2.0


@pytest.mark.parametrize("place", ["e/lease-2", "f/lease-1"], ids=["rank", "epoch"])
def test_a_lease_stands_for_one_rank_of_one_epoch(tmp_path: Path, place: str) -> None:
    store, secret = LocalStore(tmp_path, "job"), secrets.token_bytes(32)
    store.keep("e/lease-1", seal(secret, "e/lease-1", {"beat": 1}))
    store.keep(place, store.read("e/lease-1") or b"")
    assert unseal(secret, "e/lease-1", store.read("e/lease-1")) == {"beat": 1}
    assert unseal(secret, place, store.read(place)) is None
    store.close()
