"""A rank that fails: who is told, and what is raised."""

from __future__ import annotations

import pytest

from cosmic.contracts.plan import PlanPart
from cosmic.errors import InputError, TransientError
from cosmic.ranks.session import Messaging, RankSession, withdrawing_on_failure

WARNING = "the others will wait for rank 1 in vain"


@pytest.mark.parametrize(
    ("channel", "failure", "tried"),
    [
        ("direct", InputError("another model"), True),
        ("direct", ZeroDivisionError("a fault of ours"), True),
        ("direct", TransientError("S3 is busy"), False),
        ("none", InputError("another model"), False),
    ],
)
def test_a_failure_is_raised_as_it_is_even_if_nobody_can_be_told(
    caplog: pytest.LogCaptureFixture, channel: str, failure: Exception, *, tried: bool
) -> None:
    """The deployment has no secret, so telling fails wherever it is tried."""
    plan = PlanPart.model_construct(run="r", world_size=2, channel=channel)
    session = RankSession(Messaging(), plan, "bucket", rank=1, generation=0)
    with pytest.raises(type(failure)) as raised, withdrawing_on_failure(session):
        raise failure
    assert raised.value is failure
    assert (WARNING in caplog.text) is tried
