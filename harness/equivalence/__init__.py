"""The port held against Go: the same descriptions started by both, the worlds that come of it compared.

``strategies`` draws descriptions, ``serving`` starts them on the host, ``pair`` reaches it from here.
"""
