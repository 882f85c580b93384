"""Forecasts to look at: a picture file, or a chart of characters. See README.md."""
