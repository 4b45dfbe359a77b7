"""Stand-ins with a name: small real things that do exactly what a test tells them to."""
