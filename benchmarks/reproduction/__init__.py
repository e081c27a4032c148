"""Two checkouts compared bit for bit, and the gallery at full size."""
