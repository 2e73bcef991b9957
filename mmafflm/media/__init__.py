"""Pictures and clips under the pixel and frame budget: which container a file has, which frames are taken, and to what
size they are scaled. The input is bytes or a stored file, the output PIL images.
"""
