"""The journey in order: judgments and documents in; artefacts, a registered version and a report out."""
