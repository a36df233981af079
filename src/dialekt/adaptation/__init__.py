"""Documents alone → a base model that has read them, if dev says that this helps."""
