"""`/keys`: those that sign."""
