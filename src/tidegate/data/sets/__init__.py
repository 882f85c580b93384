"""The public data sets, one per file, each with a `SET`. This folder is the index."""
