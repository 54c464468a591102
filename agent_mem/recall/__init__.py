"""Finding: from a query to the records that fit it."""

import os

# Our products of matrices are too small to share: threads would wait for each other, and burn a
# core that the encoder needs. It has to be said before numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
