"""Replays of a recorded loop, forks with one change, and the verdicts on them."""
