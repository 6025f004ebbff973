"""The Transformer's encoder, decoder, and the models that choose them."""
