"""The instances that are connected: what they run, what they refused and how they are."""
