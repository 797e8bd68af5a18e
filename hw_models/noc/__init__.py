"""The network of a chip: one server that carries every transfer between cores.

`spec` (parameters, check of requests), `topology` and `routing` (wiring and routes as data), `cycle` (the rules and the
compiled packet model), `request` (accepting a transfer), `server` (building it, its counters), `layout` and `wheel`
(its state), `oracle` (the rules in plain Python), `analytical` (closed forms). Networks as data are in
`network`, `topologies` and `route_tables`, traffic of a network alone in `traffic`, the model to the flit in `flit`.
"""
