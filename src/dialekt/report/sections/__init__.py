"""The chapters of the report: each reads stored facts and returns blocks that both templates can show."""
