"""Networks, losses, simulated data, fit and export."""
