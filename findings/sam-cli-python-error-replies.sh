#!/usr/bin/env bash
# Package: aws-sam-cli 1.170.0.
#
# Behaviour: `sam local start-lambda` decides by a reply's keys whether the function failed, and
# sets the header that clients show as `FunctionError` only then. It knows errorMessage, errorType,
# stackTrace and cause, or exactly three keys. AWS's runtime client for Python replies with four:
# those without cause, and requestId. A Python handler that raises is so taken to have succeeded.
#
# One would guess: the error of a handler is one for every runtime that AWS publishes.
#
# Seen: a reply with three keys is an error, the same one with requestId is none.
#
# Source: the keys of the runtime client are in
# https://github.com/aws/aws-lambda-python-runtime-interface-client (lambda_runtime_exception and
# bootstrap); the decision is LambdaOutputParser.is_lambda_error_response of
# https://github.com/aws/aws-sam-cli.
set -euo pipefail

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
"${PYTHON:-python3}" -m venv "$FOLDER/venv"
"$FOLDER/venv/bin/python" -m pip install --quiet --disable-pip-version-check aws-sam-cli==1.170.0 awslambdaric==4.2.2

"$FOLDER/venv/bin/python" - <<'PROGRAM'
import json

from awslambdaric.bootstrap import make_error
from samcli.local.services.base_local_service import LambdaOutputParser

raised = make_error("no such partition", "ValueError", [], "1f0c")
with_three = {key: value for key, value in raised.items() if key != "requestId"}
for reply in (with_three, raised):
    taken = LambdaOutputParser.is_lambda_error_response(json.dumps(reply))
    print(f"{sorted(reply)}: {'an error' if taken else 'a success'}")
assert set(raised) == {"errorMessage", "errorType", "requestId", "stackTrace"}
assert LambdaOutputParser.is_lambda_error_response(json.dumps(with_three))
assert not LambdaOutputParser.is_lambda_error_response(json.dumps(raised)), "it is an error now"
PROGRAM
echo "as described"
