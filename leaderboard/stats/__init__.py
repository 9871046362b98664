"""Statistics: pure functions of arrays of scores."""
