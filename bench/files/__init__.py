"""Files found, hashed, verified and written whole. No torch."""
