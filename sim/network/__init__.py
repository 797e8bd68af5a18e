"""A network alone, by flits or by packets: its configuration, its runs, and what is shown of them (`cairn noc`)."""
