"""A host that pushes its figures, as docs/push.md shows it: psutil and requests, and a token."""

import sys
import time
from datetime import datetime, timezone

import psutil
import requests


class AgentMetricsClient:
    def __init__(self, agent_id, monitor_server_url, token, verify=True):
        self.agent_id = agent_id
        self.server_url = monitor_server_url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"
        self.session.verify = verify

    def register(self):
        """Make the host known; it may be done again at any time."""
        response = self.session.post(
            f"{self.server_url}/api/v1/agents/register",
            json={"agent_id": self.agent_id, "metrics_interval": 30, "heartbeat_interval": 60},
        )
        return response.status_code in (200, 201)

    def heartbeat(self):
        response = self.session.post(f"{self.server_url}/api/v1/agents/{self.agent_id}/heartbeat")
        return response.status_code == 200

    def get_network_io(self):
        return psutil.net_io_counters()._asdict()

    def measure_response_time(self):
        began = time.perf_counter()
        self.session.get(f"{self.server_url}/health")
        return (time.perf_counter() - began) * 1000

    def collect_system_metrics(self):
        """Collect real system metrics"""
        return {
            "cpu_usage": psutil.cpu_percent(interval=0.2),
            "memory_usage": psutil.virtual_memory().percent,
            "disk_usage": psutil.disk_usage("/").percent,
            "network_io": self.get_network_io(),
            "response_time": self.measure_response_time(),
            "timestamp": datetime.now(timezone.utc).replace(tzinfo=None).isoformat(),
        }

    def send_metrics(self, metrics):
        """Send metrics to monitor server"""
        url = f"{self.server_url}/api/v1/agents/{self.agent_id}/metrics"
        response = self.session.post(url, json=metrics)
        if response.status_code != 200:
            print(response.text, file=sys.stderr)
        return response.status_code == 200


if __name__ == "__main__":
    url, agent, token, count = sys.argv[1:5]
    client = AgentMetricsClient(agent, url, token)
    assert client.register(), "not registered"
    assert client.heartbeat(), "no heartbeat"
    for _ in range(int(count)):
        metrics = client.collect_system_metrics()
        assert client.send_metrics(metrics), "not sent"
        # The same push again, as after an answer that was lost.
        assert client.send_metrics(metrics), "not sent again"
    print("sent")
