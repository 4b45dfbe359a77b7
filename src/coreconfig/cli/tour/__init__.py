"""What `coreconfig demo` shows, and how: real processes, real values, measured times."""
