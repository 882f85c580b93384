"""Readers of tables (`table.read`), and the catalogue of public data sets (`catalogue.fetch`)."""
