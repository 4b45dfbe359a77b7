"""Environments as they are read; every write is a change."""
