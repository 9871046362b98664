"""Everything that trains: the command line, tasks, splits, trials, executors and suites."""
