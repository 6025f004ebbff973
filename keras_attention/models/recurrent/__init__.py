"""Recurrent encoders, decoders, and the models that choose them."""
