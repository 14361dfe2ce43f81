"""The recorder: what it sees of a training loop, and the copies that it keeps."""
