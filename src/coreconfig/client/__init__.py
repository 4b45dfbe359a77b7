"""The SDK: one immutable snapshot that the network refreshes behind the readers."""
