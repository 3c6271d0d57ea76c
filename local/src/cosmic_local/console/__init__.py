"""The local console: one page on loopback that lists runs, follows them and opens their reports."""
