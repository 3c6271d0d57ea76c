"""The SAM template: read, resolved without CloudFormation, and created."""
