"""Members of the family of syntheses, one file each, found by their kind."""
