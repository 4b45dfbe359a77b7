"""The one append-only log, and the world that it makes."""
