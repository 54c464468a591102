"""Skills: their format, the registry of their versions, and what of it is served."""
