"""Load: requests at a chosen pace against a server that speaks TEI or OpenAI, and what came of them."""
