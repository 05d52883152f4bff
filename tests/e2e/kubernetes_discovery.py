#!/usr/bin/env python3
"""Targets from Kubernetes: every role beside a real Prometheus on the same API server, then what goes wrong with such a server."""
import pathlib
import shutil
import tempfile
import time

from discovery_peer import Prometheus, discovered
from fake_kubernetes import Cluster
from tocsin_test import Checks, Daemon, wait_for

ROLES = ('node', 'pod', 'service', 'endpoints', 'endpointslice', 'ingress')
# What Debian's Prometheus 2.42 does not have yet; each is in upstream's documentation.
NEWER = ('__meta_kubernetes_endpoints_annotation', '__meta_kubernetes_endpointslice_annotation', '__meta_kubernetes_endpointslice_label',
         '__meta_kubernetes_endpointslice_endpoint_conditions_serving', '__meta_kubernetes_endpointslice_endpoint_conditions_terminating',
         '__meta_kubernetes_endpointslice_endpoint_node_name', '__meta_kubernetes_endpointslice_endpoint_zone',
         '__meta_kubernetes_service_loadbalancer_ip', '__meta_kubernetes_pod_container_image', '__meta_kubernetes_pod_container_id',
         '__meta_kubernetes_service_port_number', '__meta_kubernetes_service_type', '__meta_kubernetes_pod_container_init')


def pod(cluster, name, ip, node='node-a', namespace='ai', ready='True', **more):
    cluster.put('pods', name, namespace,
                metadata={'labels': {'app': name.split('-')[0], 'gpu.example.com/kind': 'h100'},
                          'annotations': {'prometheus.io/scrape': 'true', 'note': 'ä / "x"'},
                          'ownerReferences': [{'kind': 'ReplicaSet', 'name': name + '-rs', 'controller': True}]},
                spec={'nodeName': node, 'containers': [
                    {'name': 'server', 'image': 'vllm:1', 'ports': [{'name': 'http', 'containerPort': 8000, 'protocol': 'TCP'},
                                                                    {'name': 'admin', 'containerPort': 9000, 'protocol': 'TCP'}]},
                    {'name': 'sidecar', 'image': 'side:2'}],
                    'initContainers': [{'name': 'load', 'image': 'load:3', 'ports': [{'name': 'init', 'containerPort': 7, 'protocol': 'TCP'}]}]},
                status={'phase': 'Running', 'podIP': ip, 'hostIP': '10.0.0.1', 'conditions': [{'type': 'Ready', 'status': ready}],
                        'containerStatuses': [{'name': 'server', 'containerID': 'containerd://abc'}]}, **more)


def fill(c):
    c.put('nodes', 'node-a', metadata={'labels': {'zone': 'z1', 'a/b.c': 'd'}, 'annotations': {'k': 'v'}}, spec={'providerID': 'fake://a'},
          status={'addresses': [{'type': 'Hostname', 'address': 'node-a.example'}, {'type': 'InternalIP', 'address': '10.0.0.1'},
                                {'type': 'InternalIP', 'address': '10.0.0.9'}, {'type': 'ExternalIP', 'address': '1.2.3.4'}],
                  'daemonEndpoints': {'kubeletEndpoint': {'Port': 10250}}})
    c.put('nodes', 'node-b', status={'addresses': [{'type': 'InternalIP', 'address': 'fd00::1'}],
                                     'daemonEndpoints': {'kubeletEndpoint': {'Port': 10250}}})
    pod(c, 'chat-0', '10.1.0.1')
    pod(c, 'chat-1', '10.1.0.2', node='node-b', ready='False')
    pod(c, 'other-0', 'fd00::7', namespace='web')
    c.put('pods', 'starting', 'ai', spec={'containers': [{'name': 'x'}]}, status={'phase': 'Pending'})
    c.put('services', 'chat', 'ai', metadata={'labels': {'app': 'chat'}, 'annotations': {'prometheus.io/port': '8000'}},
          spec={'type': 'ClusterIP', 'clusterIP': '10.2.0.1', 'ports': [{'name': 'http', 'port': 80, 'protocol': 'TCP'},
                                                                       {'name': 'dns', 'port': 53, 'protocol': 'UDP'}]})
    c.put('services', 'outside', 'web', spec={'type': 'ExternalName', 'externalName': 'db.example', 'ports': [{'port': 5432, 'protocol': 'TCP'}]})
    c.put('services', 'front', 'web', spec={'type': 'LoadBalancer', 'clusterIP': '10.2.0.2', 'loadBalancerIP': '5.6.7.8',
                                            'ports': [{'name': 'https', 'port': 443, 'protocol': 'TCP'}]})
    reference = {'kind': 'Pod', 'namespace': 'ai', 'name': 'chat-0'}
    c.put('endpoints', 'chat', 'ai', metadata={'labels': {'app': 'chat'}, 'annotations': {'e': 'f'}}, subsets=[
        {'addresses': [{'ip': '10.1.0.1', 'hostname': 'h0', 'nodeName': 'node-a', 'targetRef': reference}, {'ip': '9.9.9.9'}],
         'notReadyAddresses': [{'ip': '10.1.0.2', 'nodeName': 'node-b', 'targetRef': {**reference, 'name': 'chat-1'}}],
         'ports': [{'name': 'http', 'port': 8000, 'protocol': 'TCP'}]}])
    c.put('endpoints', 'alone', 'web', subsets=[{'addresses': [{'ip': '10.0.0.1', 'targetRef': {'kind': 'Node', 'name': 'node-a'}}],
                                                'ports': [{'port': 1, 'protocol': 'UDP'}]}])
    c.put('endpointslices', 'chat-x1', 'ai', metadata={'labels': {'kubernetes.io/service-name': 'chat'}, 'annotations': {'s': 't'}},
          addressType='IPv4', ports=[{'name': 'http', 'port': 8000, 'protocol': 'TCP', 'appProtocol': 'http'}], endpoints=[
              {'addresses': ['10.1.0.1'], 'conditions': {'ready': True, 'serving': True, 'terminating': False}, 'hostname': 'h0',
               'nodeName': 'node-a', 'zone': 'z1', 'targetRef': reference, 'deprecatedTopology': {'kubernetes.io/hostname': 'node-a'}},
              {'addresses': ['9.9.9.9', '9.9.9.8'], 'conditions': {'ready': False}}])
    c.put('ingresses', 'site', 'web', metadata={'labels': {'l': 'm'}, 'annotations': {'n': 'o'}}, spec={
        'ingressClassName': 'nginx', 'tls': [{'hosts': ['*.example.com']}], 'rules': [
            {'host': 'a.example.com', 'http': {'paths': [{'path': '/x', 'pathType': 'Prefix'}, {'pathType': 'Exact'}]}},
            {'host': 'a.b.example.com'}, {'host': 'plain.test', 'http': {'paths': [{'path': '/'}]}}]})


def config_text(port, is_tocsin):
    head = 'host: {enabled: false}\ndiscovery: {enabled: false}\nrules: {builtin: false}\n' if is_tocsin else ''
    text = head + 'global: {scrape_interval: 1h, scrape_timeout: 1s}\nscrape_configs:\n'
    for role in ROLES:
        attach = ', attach_metadata: {node: true}' if role in ('pod', 'endpoints', 'endpointslice') else ''
        text += f'''
  - job_name: {role}
    kubernetes_sd_configs: [{{role: {role}, api_server: 'http://127.0.0.1:{port}'{attach}}}]
  - job_name: {role}_ai
    kubernetes_sd_configs:
      - {{role: {role}, api_server: 'http://127.0.0.1:{port}', namespaces: {{names: [ai, none]}}}}
'''
    return text + f'''
  - job_name: selected
    kubernetes_sd_configs:
      - role: endpoints
        api_server: http://127.0.0.1:{port}
        selectors: [{{role: pod, label: app=nothing}}, {{role: endpoints, label: app=chat}}, {{role: service, field: spec.type=ClusterIP}}]
'''


def plain(rows):
    """Without empty labels and what the peer is too old for."""
    return [([l for l in found if l[1] and not l[0].startswith(NEWER)], [l for l in labels if l[1]], url) for found, labels, url in rows]


def differences(ours, theirs):
    out = []
    for mine, other in zip(ours, theirs):
        if mine != other:
            out.append((sorted(set(mine[0]) - set(other[0])), sorted(set(other[0]) - set(mine[0])), mine[1:], other[1:]))
    return f'{len(ours)} {len(theirs)} targets: {out[:2]}'


def sources(d):
    return {s['job']: s for s in d.get('/api/tocsin/v1/discovery').json['sources']}


def check_roles(c, d, port):
    c.check(wait_for(lambda: all(s['state'] == 'ok' for s in sources(d).values())), f'all sources work: {sources(d)}')
    counts = {'node': 2, 'pod': 12, 'service': 4, 'endpoints': 8, 'endpointslice': 5, 'ingress': 3,  # two paths of one host are one address
              'pod_ai': 8, 'selected': 3}
    for job, count in counts.items():
        c.check(wait_for(lambda: len(discovered(d, job)) == count), f'{job}: {len(discovered(d, job))} targets, wanted {count}')
    with Prometheus(config_text(port, False)) as p:
        for role in ROLES if p else ():
            for job in (role, role + '_ai'):
                c.check(wait_for(lambda: plain(discovered(d, job)) == plain(discovered(p, job)), 25, 1),
                        f'{job} as Prometheus: {differences(plain(discovered(d, job)), plain(discovered(p, job)))}')
        if p:
            c.check(plain(discovered(d, 'selected')) == plain(discovered(p, 'selected')), 'selectors as Prometheus')


def find(d, job, **labels):
    wanted = set(labels.items())
    return [t for t in discovered(d, job) if wanted <= set(t[0])]


def check_changes(c, d, cluster):
    pod(cluster, 'chat-2', '10.1.0.3')
    c.check(wait_for(lambda: find(d, 'pod', __meta_kubernetes_pod_name='chat-2')), 'a new pod')
    pod(cluster, 'chat-2', '10.1.0.4')
    c.check(wait_for(lambda: find(d, 'pod', __meta_kubernetes_pod_ip='10.1.0.4') and not find(d, 'pod', __meta_kubernetes_pod_ip='10.1.0.3')),
            'a pod with another address')
    pod(cluster, 'chat-0', '10.1.0.1', ready='False')
    c.check(wait_for(lambda: find(d, 'endpoints', __meta_kubernetes_pod_name='chat-0', __meta_kubernetes_pod_ready='false')),
            'endpoints follow their pod')
    cluster.put('services', 'chat', 'ai', metadata={'labels': {'app': 'renamed'}}, spec={'type': 'ClusterIP', 'clusterIP': '1', 'ports': []})
    c.check(wait_for(lambda: find(d, 'endpoints', __meta_kubernetes_service_label_app='renamed') and
                     find(d, 'endpointslice', __meta_kubernetes_service_label_app='renamed')), 'and their service')
    cluster.put('nodes', 'node-a', metadata={'labels': {'zone': 'z9'}}, spec={}, status={'addresses': []})
    c.check(wait_for(lambda: find(d, 'pod', __meta_kubernetes_node_label_zone='z9') and
                     find(d, 'endpoints', __meta_kubernetes_node_label_zone='z9')), 'and their node')
    cluster.delete('pods', 'chat-2', 'ai')
    c.check(wait_for(lambda: not find(d, 'pod', __meta_kubernetes_pod_name='chat-2')), 'a pod that is deleted')


def check_trouble(c, d, cluster):
    lists = cluster.count('/pods?limit')
    cluster.end_watches()
    pod(cluster, 'after-0', '10.1.9.1')
    c.check(wait_for(lambda: find(d, 'pod', __meta_kubernetes_pod_name='after-0')), 'a watch goes on after the connection broke')
    c.equal(cluster.count('/pods?limit'), lists, 'without a new list')
    cluster.forget()
    cluster.delete('pods', 'after-0', 'ai')
    pod(cluster, 'after-1', '10.1.9.2')
    c.check(wait_for(lambda: find(d, 'pod', __meta_kubernetes_pod_name='after-1') and not find(d, 'pod', __meta_kubernetes_pod_name='after-0')),
            'a version that is too old leads to a new list')
    c.check(cluster.count('/pods?limit') > lists, 'which was asked for')
    cluster.garbage = '{"type": "ADDED", "object": {"metadata": \n'
    cluster.put('nodes', 'x', status={})
    c.check(wait_for(lambda: all(s['failures'] for s in sources(d).values())), 'nonsense is a failure')
    before = len(discovered(d, 'pod'))
    cluster.garbage, cluster.status = None, 503
    cluster.end_watches()
    c.check(wait_for(lambda: all(s['state'] == 'failing' and '503' in s['last_error'] for s in sources(d).values()), 60),
            f'a server in trouble: {[(s["job"], s["last_error"]) for s in sources(d).values()]}')
    c.equal(len(discovered(d, 'pod')), before, 'the targets stay')
    cluster.status = 0
    c.check(wait_for(lambda: all(s['state'] == 'ok' for s in sources(d).values()), 90), f'it recovers: {sources(d)}')
    requests = len(cluster.requests)
    time.sleep(3)
    c.check(len(cluster.requests) - requests < 20, f'watches are calm: {len(cluster.requests) - requests} requests in 3 s')


def kubeconfig(directory, port, user):
    path = directory / 'kubeconfig'
    path.write_text(f'''
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: c, user: u, namespace: ai}}}}]
clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}/'}}}}]
users: [{{name: u, user: {user}}}]
''')
    return path


def check_access(c, cluster, directory):
    cluster.tokens, cluster.page = ['good'], 2
    path = kubeconfig(directory, cluster.port, '{token: bad}')
    (directory / 'token').write_text('bad\n')
    config = directory / 'access.yml'
    config.write_text(f'''
host: {{enabled: false}}
discovery: {{enabled: false}}
rules: {{builtin: false}}
scrape_configs:
  - job_name: kubeconfig
    kubernetes_sd_configs: [{{role: pod, kubeconfig_file: {path.name}}}]
  - job_name: token
    kubernetes_sd_configs: [{{role: node, api_server: 'http://127.0.0.1:{cluster.port}', authorization: {{credentials_file: token}}}}]
  - job_name: inside
    kubernetes_sd_configs: [{{role: pod}}]
''')
    with Daemon(config=config) as d:
        for job in ('kubeconfig', 'token'):
            c.check(wait_for(lambda: '401' in sources(d)[job]['last_error']), f'{job}: who may not ask is told so')
        c.check('KUBERNETES_SERVICE_HOST' in sources(d)['inside']['last_error'], 'outside of a cluster there is no service account')
        (directory / 'token').write_text('good\n')
        kubeconfig(directory, cluster.port, '{token: good}')
        c.check(wait_for(lambda: len(discovered(d, 'token')) == 1, 60), 'a rotated token is read anew')
        c.check(wait_for(lambda: len(discovered(d, 'kubeconfig')) >= 12, 60), 'a kubeconfig, too; and a list of several pages is whole')


def main():
    c = Checks()
    cluster = Cluster()
    fill(cluster)
    cluster.serve()
    with tempfile.TemporaryDirectory() as name:
        directory = pathlib.Path(name)
        config = directory / 'tocsin.yml'
        config.write_text(config_text(cluster.port, True))
        with Daemon(config=config) as d:
            check_roles(c, d, cluster.port)
            cluster.bookmarks = True
            check_changes(c, d, cluster)
            check_trouble(c, d, cluster)
            start = time.monotonic()
            c.equal(d.stop(), 0, 'open watches do not keep the daemon from stopping')
            c.check(time.monotonic() - start < 10, f'it took {time.monotonic() - start:.1f} s')
        check_access(c, cluster, directory)
    if not shutil.which('prometheus'):
        print('prometheus is not installed: nothing was compared with it')
    c.finish()


main()
