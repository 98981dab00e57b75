"""A Redis Cluster and a Redis with sentinels, private, on free ports of this machine."""
import contextlib
import pathlib
import signal
import socket
import subprocess

import redis as redis_client

import harness

BUS = 10000    # a cluster's second port lies so far above the first


def free_port(bus=False):
    while True:
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
        if not bus:
            return port
        if port + BUS < 65536:
            with contextlib.suppress(OSError), socket.socket() as two:
                two.bind(("127.0.0.1", port + BUS))
                return port


class Node:
    """A redis-server on a port, whose data outlives it."""

    def __init__(self, folder, *options, bus=False, sentinel=False):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port(bus)
        self.options, self.sentinel = options, sentinel
        self.process = None
        self.client = redis_client.Redis(port=self.port, decode_responses=True, socket_timeout=5)

    def start(self):
        with open(self.folder / "redis.log", "ab") as log:
            words = ["redis-server", *([str(self.folder / "sentinel.conf"), "--sentinel"] if self.sentinel else []),
                     "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
                     *([] if self.sentinel else ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]), *self.options]
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=harness.end_with_us)
        harness.wait_for(self.answers, what=f"the Redis on port {self.port}")
        return self

    def answers(self):
        with contextlib.suppress(redis_client.RedisError):
            return self.client.ping()
        return False

    def stop(self, with_signal=signal.SIGKILL):
        if self.process:
            self.process.send_signal(with_signal)
            self.process.wait(harness.PATIENCE)
            self.process = None


class Many:
    """What the harness wants of a Redis: a url and a client."""
    nodes = ()

    def stop(self):
        for node in self.nodes:
            node.stop()

    kill = stop


class Cluster(Many):
    def __init__(self, folder, masters=3, replicas=1, timeout=1500):
        self.masters = masters
        self.nodes = [Node(folder / f"n{i}", "--cluster-enabled", "yes", "--cluster-node-timeout", str(timeout),
                           "--cluster-replica-validity-factor", "0", bus=True) for i in range(masters * (1 + replicas))]
        self.replicas = replicas
        self.url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[:2])

    def start(self):
        for node in self.nodes:
            node.start()
        self.cli("--cluster", "create", *(f"127.0.0.1:{node.port}" for node in self.nodes), "--cluster-replicas", str(self.replicas),
                 "--cluster-yes")
        harness.wait_for(lambda: all(node.client.cluster("info")["cluster_state"] == "ok" for node in self.nodes), 30, "the cluster")
        replicas = self.masters * self.replicas
        harness.wait_for(lambda: sum(node.client.info("replication").get("master_link_status") == "up" for node in self.nodes) == replicas,
                         30, "the replicas")
        self.client = redis_client.RedisCluster(host="127.0.0.1", port=self.nodes[0].port, decode_responses=True)
        return self

    def cli(self, *words):
        done = subprocess.run(["redis-cli", *words], text=True, capture_output=True, timeout=300, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def masters_alive(self):
        return [node for node in self.nodes if node.process and node.client.info("replication")["role"] == "master"]

    def has(self, node, key):
        with contextlib.suppress(redis_client.RedisError):
            return node.client.exists(key) == 1
        return False


class Sentinels(Many):
    """A master, a replica, three sentinels; the master's name is heed."""

    def __init__(self, folder):
        self.master = Node(folder / "m")
        self.replica = Node(folder / "r", "--replicaof", "127.0.0.1", str(self.master.port))
        self.watchers = [Node(folder / f"s{i}", sentinel=True) for i in range(3)]
        self.nodes = [self.master, self.replica, *self.watchers]
        self.url = "redis+sentinel://" + ",".join(f"127.0.0.1:{node.port}" for node in self.watchers) + "/heed"

    def start(self):
        self.master.start()
        self.replica.start()
        harness.wait_for(lambda: self.replica.client.info("replication")["master_link_status"] == "up", 30, "the replica")
        for node in self.watchers:
            (node.folder / "sentinel.conf").write_text(
                f"sentinel monitor heed 127.0.0.1 {self.master.port} 2\nsentinel down-after-milliseconds heed 700\n"
                "sentinel failover-timeout heed 3000\n")
            node.start()
        harness.wait_for(lambda: all(node.client.sentinel_master("heed")["num-other-sentinels"] == 2 and
                                     node.client.sentinel_master("heed")["num-slaves"] == 1 for node in self.watchers), 30, "the sentinels")
        return self

    @property
    def client(self):
        """Of whoever is the master."""
        for node in self.watchers:
            with contextlib.suppress(redis_client.RedisError):
                host, port = node.client.sentinel_get_master_addr_by_name("heed")
                return redis_client.Redis(host=host, port=port, decode_responses=True, socket_timeout=5)
        raise AssertionError("no sentinel answers")
