"""`detent new`: a starter project, and the files that it is made of."""
