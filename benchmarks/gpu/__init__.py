"""Everything on one GPU."""
