"""Who calls: tokens."""
