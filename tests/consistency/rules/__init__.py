"""The promises, one module each: pure functions from a timeline to what breaks them."""
