"""From a command line and a suite to the trials to run."""
