"""Objects in S3, and folders that stand in for it."""
