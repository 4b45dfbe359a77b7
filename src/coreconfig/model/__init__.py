"""What the system means: immutable values and pure functions, without I/O, clock or randomness."""
