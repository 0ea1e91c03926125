"""What runners do at Vaults outside of runs: the server never connects to one."""
