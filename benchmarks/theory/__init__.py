"""Numerical checks of what [Lee20] proves and shows about mixout: `regbench theory --output DIR`."""
