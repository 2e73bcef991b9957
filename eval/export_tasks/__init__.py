"""Tasks for the harness that somebody already uses: a build comes in, a folder of task files goes out.

The harness asks the model; the functions in the folder call eval/score, so the harness prints our scores. Its log of
answers becomes a run with `mmaffben score --import`.
"""
