"""Check records against data and code, and by training some of them again."""
