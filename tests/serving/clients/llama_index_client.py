"""LlamaIndex: `python llama_index_client.py URL KEY`, texts on standard input, vectors as JSON on standard output."""

import asyncio
import json
import sys

from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference


def main() -> None:
    """Embed the texts of standard input in every way that the class offers."""
    url, key = sys.argv[1:]
    texts = json.load(sys.stdin)
    client = TextEmbeddingsInference(
        model_name="tiny", base_url=url, auth_token=key, text_instruction="", query_instruction=""
    )
    found = {
        "documents": client.get_text_embedding_batch(texts),
        "documents_async": asyncio.run(client.aget_text_embedding_batch(texts)),
        "query": client.get_query_embedding(texts[0]),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
