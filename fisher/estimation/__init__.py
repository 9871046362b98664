"""The Fisher diagonal: slow and exact, batched, resumable."""
