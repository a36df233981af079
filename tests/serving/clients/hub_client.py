"""Hugging Face: `python hub_client.py URL KEY`, texts on standard input, vectors as JSON on standard output."""

import json
import sys

from huggingface_hub import InferenceClient


def main() -> None:
    """Embed and compare the texts of standard input."""
    url, key = sys.argv[1:]
    texts = json.load(sys.stdin)
    client = InferenceClient(model=url, token=key)
    short = client.feature_extraction(
        texts, normalize=True, truncate=True, truncation_direction="right", dimensions=16, prompt_name="query"
    )
    found = {
        "documents": client.feature_extraction(texts).tolist(),
        "query": client.feature_extraction(texts[0]).tolist(),
        "raw": client.feature_extraction(texts, normalize=False).tolist(),
        "short": short.tolist(),
        "similarities": client.sentence_similarity(texts[0], other_sentences=texts[1:]),
    }
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
