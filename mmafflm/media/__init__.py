"""Pictures and clips under the pixel and frame budget: containers, the frames that are taken, and their size.

The input is bytes or a stored file, the output PIL images.
"""
