"""Containers without a registry: an engine of the tests' own, a stand-in for AWS's base image."""
