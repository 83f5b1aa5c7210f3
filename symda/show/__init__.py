"""Plots, text and progress: what people look at."""
