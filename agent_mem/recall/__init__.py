"""Finding: from a query to the records that fit it."""

import os
import sys

# Our products of matrices are too small to share: threads would wait for each other, and burn a
# core that the encoder needs. It has to be said before numpy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# A recall is two threads that run side by side outside of Python most of the time: one that comes
# back would wait 5 ms for the other, which is as long as what it does.
sys.setswitchinterval(0.0005)
