"""Executes networks."""
