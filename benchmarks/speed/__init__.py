"""What the fast paths save: steps and whole trials against plain ones and against the Hugging Face Trainer."""
