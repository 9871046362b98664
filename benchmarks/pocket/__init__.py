"""The embedded default: a small synthetic language, four tasks over it and a BERT pretrained on it (never GLUE)."""

from pathlib import Path

MODEL_DIR = Path(__file__).parent / "model"
