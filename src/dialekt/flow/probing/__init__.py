"""Probes: what a little of the data brings, trained as the journey would, and as linear maps on frozen vectors."""
