from thalweg.core import absolute, constant, maximum, sign


def soft_threshold(w, t):
    return sign(w) * maximum(absolute(w) - t, constant(w, 0.0))
