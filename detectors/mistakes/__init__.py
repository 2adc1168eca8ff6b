"""What upstream did to columns, where what was found of them tells."""
