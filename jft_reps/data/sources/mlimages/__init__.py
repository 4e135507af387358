"""Tencent ML-Images: its lists and its records."""
