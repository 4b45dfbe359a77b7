"""Change requests: every write is one, judged against the world and committed in one transaction."""
