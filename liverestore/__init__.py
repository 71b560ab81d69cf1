"""Live restoration of microscope images."""

__version__ = "0.1.0"
