"""Deployments: the queue, the run leases that runners hold, steps and logs, and the runner's door.

Owns: the state machine, approval, what a run is given and gives back, who may report on it, and when it is lost.
Does not own: what a runner does with a lease, or the routes of environments (`environments`), which call the queue.
"""
