"""Contracts by the ten thousand share what pydantic keeps for each."""

from __future__ import annotations

from cosmic.contracts.numerous import Numerous


class Thing(Numerous):
    """Any of them."""

    a: int
    b: int = 2


def test_the_same_names_are_kept_once() -> None:
    one, other = Thing(a=1), Thing.model_validate_json('{"a": 5}')
    assert one.model_fields_set is other.model_fields_set
    assert Thing(a=1, b=2).model_fields_set == {"a", "b"}


def test_a_changed_copy_leaves_the_others_as_they_are() -> None:
    one, other = Thing(a=1), Thing(a=5)
    copied = one.model_copy(update={"b": 7})
    assert copied.model_dump(exclude_unset=True) == {"a": 1, "b": 7}
    assert one.model_dump(exclude_unset=True) == {"a": 1}
    assert other.model_dump(exclude_unset=True) == {"a": 5}
    assert Thing(a=1).model_fields_set == {"a"}
