"""Channels over a store: Redis, S3, or a folder on one machine."""
