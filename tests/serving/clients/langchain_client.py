"""LangChain: `python langchain_client.py URL KEY`, texts on standard input, vectors as JSON on standard output."""

import asyncio
import json
import sys

from huggingface_hub import InferenceClient
from langchain_huggingface import HuggingFaceEndpointEmbeddings


def main() -> None:
    """Embed the texts of standard input in every way that the class offers."""
    url, key = sys.argv[1:]
    texts = json.load(sys.stdin)
    client = HuggingFaceEndpointEmbeddings(model=url, huggingfacehub_api_token=key)
    # From 1.2.2 on the class refuses URLs as `model`: its inner client takes them.
    named = HuggingFaceEndpointEmbeddings(model="any/name", model_kwargs={"prompt_name": "query", "dimensions": 16})
    named.client = InferenceClient(model=url, token=key)
    found = {
        "documents": client.embed_documents(texts),
        "documents_async": asyncio.run(client.aembed_documents(texts)),
        "query": client.embed_query(texts[0]),
        "short": named.embed_documents(texts),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
