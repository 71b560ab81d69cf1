"""Figures of merit of an image, and the classical methods to compare with; pure numpy and scipy."""
