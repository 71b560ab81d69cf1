"""Keeps frames on disk."""
