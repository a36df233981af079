"""The server: one process that speaks the TEI and the OpenAI protocol.

Reads the registry, or model folders; answers over HTTP. Writes nothing but its log.
"""
