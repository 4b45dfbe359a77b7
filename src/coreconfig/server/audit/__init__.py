"""What was done by whom, and what was refused."""
