"""A rig for runs that only have to run: a small simulated microscope."""

RIG = """
name = "small simulated microscope"
[source]
kind = "simulated"
buffer_size_mb = 16
[camera]
offset_counts = 100.0
gain_e_per_count = 0.5
read_noise_e = 1.4
bit_depth = 16
exposure_ms = 40.0
[optics]
pixel_size_um = 0.108333
numerical_aperture = 1.2
magnification = 60.0
wavelength_nm = 520.0
immersion_index = 1.33
sample_index = 1.33
[specimen]
seed = 3
shape = [64, 96]
"""
