"""Plots of forecasts, as a PNG file or as text in a terminal. See README.md."""
