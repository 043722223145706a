"""Data that other programs read: a simulated trial in ADaM form, the results' grid, priors as mixtures."""
