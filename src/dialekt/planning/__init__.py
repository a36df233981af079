"""How much time, memory, storage and how many machines a corpus will take: arithmetic over what was measured here."""
