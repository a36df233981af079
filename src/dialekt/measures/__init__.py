"""What every comparison needs: metrics of rankings, runs, retrieval over a corpus, and how sure a number is."""
