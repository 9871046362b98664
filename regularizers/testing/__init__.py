"""What an author of a regularizer tests it with: the conformance checks and the tiny trial they run."""
