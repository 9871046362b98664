"""Tuning at equal budgets: families, their configurations, and floors."""
