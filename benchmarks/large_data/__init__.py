"""Many rows: on disk, on a cluster, and on a sample of centers."""
