"""General queries, asked before and after tuning: what a model forgets of the world outside its domain."""
