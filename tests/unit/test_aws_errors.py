"""What AWS answers, and which of it is worth another try."""

from __future__ import annotations

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    ProfileNotFound,
    ReadTimeoutError,
    ResponseStreamingError,
    UnsupportedS3ArnError,
)
from botocore.parsers import ResponseParserError

from cosmic.errors import InputError, TransientError
from cosmic.storage.aws_errors import as_cosmic_error, translated

URL = "http://127.0.0.1"


def answered(code: str, status: int) -> ClientError:
    reply = {
        "Error": {"Code": code, "Message": "AWS's own words"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(reply, "Operation")  # type: ignore[arg-type]  # its stub wants more


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("SlowDown", 503),
        ("ServiceUnavailable", 503),
        ("InternalError", 500),
        ("InternalError", 200),  # of CompleteMultipartUpload
        ("500", 500),
        ("408", 408),
        ("429", 429),
        ("RequestTimeout", 400),
        ("OperationAborted", 409),
        ("ConditionalRequestConflict", 409),
        ("BadDigest", 400),
        ("ThrottlingException", 400),
        ("KMS.ThrottlingException", 400),
        ("TooManyRequestsException", 429),
        ("ExecutionLimitExceeded", 400),
        ("NeverHeardOf", 502),
    ],
)
def test_what_may_go_away_is_transient(code: str, status: int) -> None:
    assert isinstance(as_cosmic_error("it", answered(code, status)), TransientError)


@pytest.mark.parametrize(
    ("code", "status", "ours"),
    [
        ("404", 404, "not-found"),
        ("NoSuchKey", 404, "not-found"),
        ("NoSuchBucket", 404, "no-bucket"),
        ("AccessDenied", 403, "access-denied"),
        ("InvalidObjectState", 403, "archived"),
        ("301", 301, "wrong-region"),
        ("PermanentRedirect", 301, "wrong-region"),
        ("AuthorizationHeaderMalformed", 400, "wrong-region"),
        ("IllegalLocationConstraintException", 400, "wrong-region"),
        ("KMS.DisabledException", 400, "kms-key"),
        ("KMS.NotFoundException", 400, "kms-key"),
        ("KMS.KMSInvalidStateException", 409, "kms-key"),
        ("MethodNotAllowed", 405, "method-not-allowed"),
        ("RequestTimeTooSkewed", 403, "clock-skew"),
        ("InvalidBucketName", 400, "bad-name"),
        ("KeyTooLongError", 400, "bad-name"),
        ("AllAccessDisabled", 403, "access-denied"),
        ("AccountProblem", 403, "aws-refuses"),
        ("StateMachineDoesNotExist", 400, "no-state-machine"),
        ("NeverHeardOf", 400, "aws-refuses"),
        ("NeverHeardOf", 418, "aws-refuses"),
    ],
)
def test_what_no_retry_mends_keeps_the_words_of_aws(code: str, status: int, ours: str) -> None:
    error = as_cosmic_error("s3://bucket/key", answered(code, status))
    assert isinstance(error, InputError)
    assert error.code == ours
    assert error.message.startswith("s3://bucket/key: ")
    assert "AWS's own words" in error.message
    assert error.hint or ours == "aws-refuses"


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url=URL),
        ConnectTimeoutError(endpoint_url=URL),
        ReadTimeoutError(endpoint_url=URL),
        IncompleteReadError(actual_bytes=1, expected_bytes=2),
        ResponseStreamingError(error="reset"),
        ResponseParserError("half a document"),
    ],
)
def test_a_connection_that_breaks_is_transient(error: Exception) -> None:
    assert isinstance(as_cosmic_error("it", error), TransientError)


@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (ParamValidationError(report="Invalid bucket name"), "bad-name"),
        (UnsupportedS3ArnError(arn="arn:aws:s3:::b"), "bad-name"),
        (NoCredentialsError(), "aws-credentials"),
        (NoRegionError(), "aws-configuration"),
        (ProfileNotFound(profile="mine"), "aws-configuration"),
    ],
)
def test_what_the_client_refuses_to_send_is_the_users(error: Exception, ours: str) -> None:
    found = as_cosmic_error("it", error)
    assert isinstance(found, InputError)
    assert found.code == ours
    assert found.hint


def test_our_own_bugs_are_not_taken_for_aws() -> None:
    with pytest.raises(KeyError), translated("it"):
        raise KeyError("a bug")
