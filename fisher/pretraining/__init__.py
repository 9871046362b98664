"""Pretrained checkpoints, corpora and the objectives that they were pretrained with."""
