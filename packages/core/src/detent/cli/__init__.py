"""The command line: one group of commands, which the console script and the frameworks mount."""
