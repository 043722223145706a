"""What may change at an interim look for the patients to come."""
