#!/usr/bin/env bash
# Package: cfn-lint 1.58.0.
#
# Behaviour: cfn-lint checks the definition of an AWS::StepFunctions::StateMachine. A `StartAt` that
# names a state that doesn't exist is an error (E3601, "Missing 'Next' target"); a state whose
# `Next` does so is none.
#
# One would guess: both are seen, the more so as the message for `StartAt` speaks of `Next`.
#
# Seen: exit code 2 with E3601 for the first, exit code 0 and no output for the second.
#
# Source: https://github.com/aws-cloudformation/cfn-lint/blob/main/docs/rules.md lists E3601 as
# validating the structure of a state machine's definition.
set -euo pipefail

FOLDER=$(mktemp -d)
trap 'rm -rf "$FOLDER"' EXIT
"${PYTHON:-python3}" -m venv "$FOLDER/venv"
"$FOLDER/venv/bin/python" -m pip install --quiet --disable-pip-version-check cfn-lint==1.58.0

cd "$FOLDER"
template() { # the first state, and the one that follows it
  cat <<JSON
{"Resources": {"Machine": {"Type": "AWS::StepFunctions::StateMachine", "Properties": {
  "RoleArn": "arn:aws:iam::123456789012:role/machine",
  "Definition": {"StartAt": "$1", "States": {
    "First": {"Type": "Pass", "Next": "$2"}, "Last": {"Type": "Succeed"}}}}}}}
JSON
}
template First Last > right.json
template Nowhere Last > start.json
template First Nowhere > next.json

venv/bin/cfn-lint right.json
if said=$(venv/bin/cfn-lint start.json); then echo "a missing StartAt is not seen any more"; exit 1; fi
echo "$said"
grep -q E3601 <<< "$said"
venv/bin/cfn-lint next.json || { echo "a missing Next is seen now"; exit 1; }
echo "a missing Next: no complaint"
echo "as described"
