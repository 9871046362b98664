"""What the commands of all packages share: errors, exit codes, progress and whole files."""
