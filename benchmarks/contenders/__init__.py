"""The programs that `engine.py` compares: each trains the same members on the same batches, as its experts write it."""
