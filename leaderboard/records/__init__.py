"""Records: one JSON file per trial, its schema, its identity, and the files next to it."""
