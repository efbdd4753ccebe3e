"""A folder of its own, so that its tests run beside the other random ones."""
