"""What crosses the network, in both directions; imports neither side."""
