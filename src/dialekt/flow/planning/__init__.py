"""A capacity plan: what the project and this machine say, and the arithmetic of the planning room over it."""
