"""One module per format of relevance judgments; `table` lists them and recognises them."""
