"""What to fine-tune with on somebody's own data: reading, the tournament, its answer, and the model."""
