"""The search for a better recipe of training: trials under a time budget, scored on dev, one of them kept."""
