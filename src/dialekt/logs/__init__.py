"""Search logs → clean searches → evidence with the bias of the rank taken out → graded judgments."""
