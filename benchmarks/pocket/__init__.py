"""The embedded default: a BERT pretrained on a small synthetic language, four tasks and a corpus in it (never GLUE)."""

from pathlib import Path

MODEL_DIR = Path(__file__).parent / "model"
TASKS_DIR = Path(__file__).parent / "tasks"
CORPUS = Path(__file__).parent / "corpus.txt"  # pairs of sentences that the model was not pretrained on
