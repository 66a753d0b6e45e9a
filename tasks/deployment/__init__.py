"""What is asked of Prefect's server besides running flows: pools, limits, automations, deployments, events, and runs of a deployment."""
