"""What can happen: a definition compiled on the `transitions` library."""
