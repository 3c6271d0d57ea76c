"""A plan that takes little memory is the plan, whatever its text looks like."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cosmic.contracts.packed import Packed
from cosmic.contracts.packed_plan import parse_packed_plan
from cosmic.contracts.plan import Plan, parse_plan
from property.test_plan_parts import planned


def assert_same(one: Plan, other: Plan) -> None:
    assert list(one.partitions) == list(other.partitions)
    assert list(one.ranks) == list(other.ranks)
    empty: dict[str, Any] = {"partitions": (), "ranks": ()}
    assert one.model_copy(update=empty) == other.model_copy(update=empty)
    assert (one.rows, one.id_bytes, one.announced) == (other.rows, other.id_bytes, other.announced)


@settings(max_examples=30)
@given(
    rows=st.lists(st.integers(0, 700), min_size=1, max_size=300).filter(any),
    world_size=st.integers(1, 12),
    indent=st.sampled_from([None, 0, 3]),
    backwards=st.booleans(),
)
def test_it_is_the_same_plan(
    rows: list[int], world_size: int, indent: int | None, *, backwards: bool
) -> None:
    plan = planned(rows, world_size)
    document = json.loads(plan.model_dump_json())
    members = reversed(document.items()) if backwards else document.items()
    text = json.dumps(dict(members), indent=indent).encode()
    packed = parse_packed_plan(text)
    assert isinstance(packed.ranks, Packed)
    assert isinstance(packed.partitions, Packed)
    assert_same(packed, plan)


def test_names_with_quotes_brackets_and_other_letters_are_kept() -> None:
    plan = planned([100], 1)
    (partition,) = plan.partitions
    strange = partition.model_copy(update={"key": 'data/"],}{[é日\\/x.safetensors'})
    plan = plan.model_copy(update={"partitions": (strange,), "dataset": '"ranks":[]'})
    assert_same(parse_packed_plan(plan.model_dump_json().encode()), plan)


WHOLE = planned([700, 64], 3).model_dump_json().encode()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        WHOLE[:-1],
        WHOLE + b"x",
        WHOLE.replace(b'"stop":64', b'"stop":65'),
        WHOLE.replace(b'"rank":1', b'"rank":7'),
        WHOLE.replace(b'"ranks":', b'"other":'),
        WHOLE.replace(b'"ranks":[', b'"ranks":7,"x":['),
        WHOLE.replace(b'"rows":700', b'"rows":"many"'),
        WHOLE.replace(b'"run":"run"', b'"run":5'),
        WHOLE.replace(b"run", b"\xff", 1),
    ],
)
def test_what_is_no_plan_is_refused_with_the_same_words(text: bytes) -> None:
    with pytest.raises(ValidationError) as plain:
        parse_plan(text)
    with pytest.raises(ValidationError) as packed:
        parse_packed_plan(text)
    assert str(packed.value) == str(plain.value)
