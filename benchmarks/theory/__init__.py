"""Numerical checks of what [Lee20] proves and shows about mixout: `python -m benchmarks.theory --output DIR`."""
