"""For tests of programs that use CoreConfig."""
