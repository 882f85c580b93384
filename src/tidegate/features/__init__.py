"""Raw input to arrays: the tokenizer automaton and its vocabulary. Needs NumPy only; see README.md."""
