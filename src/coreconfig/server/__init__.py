"""The server: one log of revisions, and everything that is derived from it."""
