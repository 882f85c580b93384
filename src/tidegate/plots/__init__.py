"""Plots of forecasts and of a classifier's scores, as a PNG file or as text in a terminal. See README.md."""
