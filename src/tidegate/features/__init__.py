"""From raw input to arrays: text to token ids, series to rows of numbers. Needs only NumPy; see README.md."""
