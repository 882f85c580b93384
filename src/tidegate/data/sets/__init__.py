"""One public data set a file; each has a `SET`. The folder is the index."""
