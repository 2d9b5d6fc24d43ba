"""The inventory: where the broker learns what kind of cloud a region is."""
