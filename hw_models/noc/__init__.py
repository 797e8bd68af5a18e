"""The network of a chip: one server that carries every transfer between cores.

`spec` (parameters, check of requests), `topology` and `routing` (wiring and routes as data), `cycle` (the rules and
the compiled packet model), `server` (building it, its counters), `layout` and `heap` (its state), `oracle` (the rules
in plain Python), `analytical` (closed forms).
"""
