"""HTTP: operations and their documentation, strict input, one answer for every error, preconditions."""
