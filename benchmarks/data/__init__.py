"""Tasks and their examples: readers, sources, paucity splits and batches."""
