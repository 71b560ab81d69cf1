"""The plugin for napari: a widget that restores layers, and a reader of our own files.

napari finds it by the entry point `napari.manifest`, and `napari.yaml` says what is in it. This is
the only room that imports napari, which the base install does without.
"""
