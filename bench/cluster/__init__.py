"""Commands on a cluster, or on several GPUs: tasks that share the samples, one job after them, and a front end."""
