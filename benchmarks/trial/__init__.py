"""One fine-tuning trial, from its config to its record."""
