"""Windows of many models in shared arrays: one call measures, closes or judges thousands."""
