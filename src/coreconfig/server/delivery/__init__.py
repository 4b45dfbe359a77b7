"""Who needs what: views kept ready, read over HTTP and pushed over the stream."""
