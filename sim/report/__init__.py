"""From a results folder to figures, a table to paste and one page to read."""
