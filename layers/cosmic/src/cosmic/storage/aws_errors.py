"""Errors of AWS and its client, as the two families that decide whether a call is retried.

One rule holds for every call of every service: what may go away by itself is transient (no
connection, a broken reply, 408, 429, 5xx, throttling, two writes at the same moment); everything
else that AWS refuses, and whatever its client refuses to send, is the user's to fix and keeps AWS's
own words. An unknown answer is judged by its HTTP status.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    ConnectionError,  # botocore's, which is no OSError
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    MetadataRetrievalError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from cosmic.errors import InputError, TransientError

log = logging.getLogger(__name__)
AWS_FAILURES = (ClientError, BotoCoreError, ResponseParserError, HTTPError)
UNREADABLE = (ResponseParserError, ValueError)  # no XML, or no number where one has to be
BROKEN_OFF = (
    HTTPClientError,
    ConnectionError,
    IncompleteReadError,
    ChecksumError,
    FlexibleChecksumError,
    CredentialRetrievalError,
    MetadataRetrievalError,
    ResponseParserError,
    HTTPError,
)
BUSY = frozenset(
    {
        "BandwidthLimitExceeded",
        "ConditionalRequestConflict",
        "EC2ThrottledException",
        "ExecutionLimitExceeded",
        "InternalError",
        "OperationAborted",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ResourceConflictException",
        "ServiceUnavailable",
        "SlowDown",
        "TemporaryRedirect",
        "Throttling",
        "ThrottledException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
DAMAGED = frozenset(  # on its way to AWS: sent again, it may come whole
    {"BadDigest", "IncompleteBody", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"}
)
CONFLICTS = frozenset({"ConditionalRequestConflict", "OperationAborted"})  # nothing was written
BUSY_STATUSES = frozenset({307, 408, 429})


class Kind(NamedTuple):
    """A permanent error: our code for it, and the way out."""

    code: str
    hint: str


NOT_FOUND = Kind("not-found", "check the key and its spelling")
NO_BUCKET = Kind("no-bucket", "check the bucket's name and region")
DENIED = Kind(
    "access-denied",
    "these credentials may not read or write there: check the role's policy and the bucket's. S3 "
    "also answers this for objects that don't exist in buckets that may not be listed, for objects "
    "whose KMS key the role may not use (SourceKmsKeyArn names it to the deployment), and for "
    'Requester Pays buckets ("request_payer": "requester" in the manifest\'s data reads them)',
)
NOT_ALLOWED = Kind("access-denied", "the role's policy does not allow it")
CHANGED = Kind("precondition-failed", "the object has changed since the run was planned")
BAD_RANGE = Kind("bad-range", "the object is shorter than its header says")
ARCHIVED = Kind(
    "archived", "restore the object first (`aws s3api restore-object`), then submit again"
)
WRONG_REGION = Kind(
    "wrong-region", "the bucket is in another region: use a bucket in the region of the deployment"
)
NO_KEY = Kind("kms-key", "enable the KMS key, or encrypt the object with a key that can be used")
DELETED = Kind("method-not-allowed", "this version is a delete marker: the object was deleted")
CLOCK = Kind("clock-skew", "set this machine's clock")
BAD_NAME = Kind("bad-name", "check the name of the bucket and the key")
NO_MACHINE = Kind("no-state-machine", "the deployment is incomplete: deploy it again")
NO_EXECUTION = Kind("no-execution", "Step Functions does not know it, or not any more")
EXECUTION_EXISTS = Kind("execution-exists", "")
CREDENTIALS = Kind("aws-credentials", "renew the credentials")
NO_CREDENTIALS = Kind(
    "aws-credentials", "log in (`aws configure` or `aws sso login`), or give --profile"
)
CONFIGURATION = Kind(
    "aws-configuration",
    "give --profile and --region, or set AWS_PROFILE and AWS_DEFAULT_REGION",
)
REFUSED = Kind("aws-refuses", "")
CLIENT_REFUSED = Kind("aws-refuses", "the request never reached AWS: the client refuses to send it")

KINDS = {
    "301": WRONG_REGION,
    "403": DENIED,
    "404": NOT_FOUND,
    "405": DELETED,
    "412": CHANGED,
    "416": BAD_RANGE,
    "AccessDenied": DENIED,
    "AccessDeniedException": NOT_ALLOWED,
    "AllAccessDisabled": DENIED,
    "AuthorizationHeaderMalformed": WRONG_REGION,
    "ExecutionAlreadyExists": EXECUTION_EXISTS,
    "ExecutionDoesNotExist": NO_EXECUTION,
    "ExpiredToken": CREDENTIALS,
    "ExpiredTokenException": CREDENTIALS,
    "IllegalLocationConstraintException": WRONG_REGION,
    "InvalidAccessKeyId": CREDENTIALS,
    "InvalidArn": NO_EXECUTION,
    "InvalidBucketName": BAD_NAME,
    "InvalidObjectState": ARCHIVED,
    "InvalidRange": BAD_RANGE,
    "InvalidToken": CREDENTIALS,
    "KeyTooLongError": BAD_NAME,
    "MethodNotAllowed": DELETED,
    "NoSuchBucket": NO_BUCKET,
    "NoSuchKey": NOT_FOUND,
    "NoSuchVersion": NOT_FOUND,
    "PermanentRedirect": WRONG_REGION,
    "PreconditionFailed": CHANGED,
    "RequestTimeTooSkewed": CLOCK,
    "SignatureDoesNotMatch": CREDENTIALS,
    "StateMachineDeleting": NO_MACHINE,
    "StateMachineDoesNotExist": NO_MACHINE,
    "UnrecognizedClientException": CREDENTIALS,
}
BY_CLIENT = {
    "ConfigParseError": CONFIGURATION,
    "EndpointResolutionError": BAD_NAME,
    "InvalidRegionError": CONFIGURATION,
    "NoCredentialsError": NO_CREDENTIALS,
    "NoRegionError": CONFIGURATION,
    "ParamValidationError": BAD_NAME,
    "PartialCredentialsError": NO_CREDENTIALS,
    "ProfileNotFound": CONFIGURATION,
    "UnsupportedS3AccesspointConfigurationError": BAD_NAME,
    "UnsupportedS3ArnError": BAD_NAME,
}


def as_cosmic_error(what: str, error: Exception) -> InputError | TransientError:
    """The error of ours that corresponds to an error of AWS or of its client.

    Args:
        what: What was asked for, such as an object's URI; the message begins with it.
        error: One of `AWS_FAILURES`.
    """
    log.info("%s: %s", what, error)
    message = f"{what}: {error}"
    if _transient(error):
        conflict = isinstance(error, ClientError) and _code(error) in CONFLICTS
        return TransientError(message, code="conflict" if conflict else None)
    kind = _kind(error)
    return InputError(message, code=kind.code, hint=kind.hint)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raise whatever a call of AWS raises as one of our two families.

    Raises:
        InputError: AWS, or its client, refuses the call for good.
        TransientError: it may succeed another time.
    """
    try:
        yield
    except AWS_FAILURES as error:
        raise as_cosmic_error(what, error) from error


def _transient(error: Exception) -> bool:
    if not isinstance(error, ClientError):
        return isinstance(error, BROKEN_OFF)
    code, status = _code(error), _status(error)
    if code in BUSY or code in DAMAGED or code.endswith("ThrottlingException"):
        return True
    return status in BUSY_STATUSES or status >= 500


def _kind(error: Exception) -> Kind:
    if not isinstance(error, ClientError):
        return BY_CLIENT.get(type(error).__name__, CLIENT_REFUSED)
    code = _code(error)
    return NO_KEY if code.startswith("KMS.") else KINDS.get(code, REFUSED)


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: ClientError) -> int:
    """The HTTP status; a reply to HEAD has no other code than this."""
    code = _code(error)
    known = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return int(code) if code.isascii() and code.isdigit() else known
