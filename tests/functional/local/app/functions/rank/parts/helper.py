"""Copied beside the function by its Dockerfile."""

NAME = "helper"
