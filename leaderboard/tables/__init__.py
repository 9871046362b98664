"""From records to trials, cells and sections."""
