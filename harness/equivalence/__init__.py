"""The port held against Go: the same descriptions started by both, the worlds that come of it compared.

``strategies`` draws descriptions, ``starter`` and ``world`` run on the host, ``pair`` reaches them from here.
"""
