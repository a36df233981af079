"""The report: reads the facts that the stages stored, writes one HTML page and the same facts as Markdown."""
