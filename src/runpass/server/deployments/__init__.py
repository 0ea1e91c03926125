"""Deployments: the queue, the run leases that runners hold, steps and logs, and the runner's door.

Owns: the state machine, what a run is given, who may report on it, and when it is lost. Also the routes of
environments, because making one queues a deployment. Does not own: what a runner does with a lease.
"""
