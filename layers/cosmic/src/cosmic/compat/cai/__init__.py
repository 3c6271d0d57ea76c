"""What CAI's users bring and take home."""
