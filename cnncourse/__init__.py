"""Convolutional neural networks in sixteen executable lessons. This file imports nothing."""
