"""Diagnosis: will fine-tuning pay here? Language, baseline, data, a probe with a learning curve, one verdict."""
