"""Pictures and clips within the pixel and frame budget: containers, the frames of a clip that are used, and their size.

The input is bytes or a stored file, the output PIL images.
"""
