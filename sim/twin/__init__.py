"""The analytical twin: a whole run in closed form, vectorised over designs, with the mapping that lowering chooses."""
