"""What the data cannot support in a restored image is found and said; pure numpy and scipy."""
