"""How well engines restore, measured beside the classical methods."""
