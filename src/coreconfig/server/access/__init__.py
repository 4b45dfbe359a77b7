"""Who is asking and what that principal may do: pure decisions, no tables and no clock."""
