"""The commands of operators: look at instances, move them, and see what is wrong."""
