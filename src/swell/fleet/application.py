"""A fleet as an application of Ray Serve: `serve run swell.fleet.application:build max_replicas=4`."""

from collections.abc import Mapping
from typing import Any

import msgspec
from ray import serve
from ray.serve.config import AutoscalingConfig, AutoscalingContext, AutoscalingPolicy

from swell.fleet.deployments import FrontDeployment, ReplicaDeployment
from swell.fleet.scaling import desired_replicas
from swell.settings import Settings

FRONT, REPLICA = "front", "replica"
_LAST_S = 20.0
"""After a drain, for processes to end."""
_HEALTH_S = 2.0


class FleetOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a fleet is made of: from `min_replicas` to `max_replicas`, at most one on each node. Each takes
    `replica_cpus` of what Ray counts as its node's processors, and `replica_gpus`; it computes with what the node has,
    whatever these numbers are. With `front_on_head` the front is on Ray's head node, whose address clients know.
    `environment` holds settings, before those of each node's environment.
    """

    min_replicas: int = 1
    max_replicas: int = 1
    replica_cpus: float = 1
    replica_gpus: float = 0
    front_on_head: bool = True
    upscale_delay_s: float = 10
    downscale_delay_s: float = 300
    environment: dict[str, str] = {}


def build(arguments: Mapping[str, Any]) -> Any:
    """The application, for `serve run` and its configuration files. `arguments` are the fields of FleetOptions."""
    return application(msgspec.convert(dict(arguments), FleetOptions, strict=False))


def application(options: FleetOptions) -> Any:
    """The application; to be run without a route, since the front listens itself."""
    drain_s = Settings.from_environment(options.environment).drain_s
    replica = serve.deployment(
        name=REPLICA,
        ray_actor_options={"num_cpus": options.replica_cpus, "num_gpus": options.replica_gpus},
        max_replicas_per_node=1,
        autoscaling_config=AutoscalingConfig(
            min_replicas=options.min_replicas,
            max_replicas=options.max_replicas,
            upscale_delay_s=options.upscale_delay_s,
            downscale_delay_s=options.downscale_delay_s,
            metrics_interval_s=2,
            look_back_period_s=10,
            policy=AutoscalingPolicy(policy_function=by_window_memory),
        ),
        graceful_shutdown_timeout_s=drain_s + _LAST_S,
        health_check_period_s=_HEALTH_S,
    )(ReplicaDeployment)
    resources = {"node:__internal_head__": 0.001} if options.front_on_head else {}
    front = serve.deployment(
        name=FRONT,
        ray_actor_options={"num_cpus": 0, "resources": resources},
        graceful_shutdown_timeout_s=drain_s + _LAST_S,
        health_check_period_s=_HEALTH_S,
    )(FrontDeployment)
    return front.bind(options.environment, replica.bind(options.environment))


def by_window_memory(context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
    """Serve's question how many replicas there should be."""
    demands = (context.aggregated_metrics or {}).get("demand", {})
    least, most = context.capacity_adjusted_min_replicas, context.capacity_adjusted_max_replicas
    if len(demands) < len(context.running_replicas):
        return max(least, min(most, context.target_num_replicas)), {}  # some haven't said anything yet
    return desired_replicas(list(demands.values()), least, most), {}
