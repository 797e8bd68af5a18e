"""Suite `stack`: weight streams, placements of decode and depths of a stack, by channels with controllers."""
