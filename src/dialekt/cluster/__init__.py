"""Work divided over the workers of a Ray cluster: the same work, the same results, more machines."""
