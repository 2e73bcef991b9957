"""Pictures and clips under the pixel and frame budget: which container a file has, which frames are taken, to what size
they are scaled. Bytes or a stored file come in; PIL images go out.
"""
