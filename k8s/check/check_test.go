package check_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"repronet.dev/k8s/check"
)

// everything runs all checks on a YAML stream.
func everything(ctx context.Context, schemas *check.Schemas, stream []byte) error {
	objects, err := check.Decode(stream)
	if err != nil {
		return errors.Join(err, schemas.Validate(ctx, stream))
	}
	return errors.Join(schemas.Validate(ctx, stream), check.Policy(objects))
}

func newSchemas(t *testing.T) *check.Schemas {
	t.Helper()
	schemas, err := check.NewSchemas(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return schemas
}

func render(t *testing.T, dir string) string {
	t.Helper()
	stream, err := check.Render(dir)
	if err != nil {
		t.Fatal(err)
	}
	return string(stream)
}

func TestDeployable(t *testing.T) {
	schemas := newSchemas(t)
	for _, dir := range []string{"../overlays/embedded", "../overlays/followers", "../example"} {
		t.Run(dir, func(t *testing.T) {
			if err := everything(t.Context(), schemas, []byte(render(t, dir))); err != nil {
				t.Error(err)
			}
		})
	}
}

// A change of the configuration must restart the pod: the config map's name says its content.
func TestConfigurationIsHashed(t *testing.T) {
	a, b := render(t, "../overlays/embedded"), render(t, "../example")
	name := func(stream string) string {
		objects, err := check.Decode([]byte(stream))
		if err != nil {
			t.Fatal(err)
		}
		return objects.ConfigMaps[0].Name
	}
	if name(a) == name(b) {
		t.Errorf("two configurations have one name: %s", name(a))
	}
}

// Each change breaks a sound deployment, and what is found says so.
func TestBroken(t *testing.T) {
	breaks(t, "../example", []breach{
		// The schemas and the types.
		{"unknown field", "replicas: 1", "replicas: 1\n  replica: 1", "additional properties 'replica' not allowed"},
		{"unknown field, decoded", "replicas: 1", "replicas: 1\n  replica: 1", `unknown field "spec.replica"`},
		{"field twice", "serviceName:", "replicas: 1\n  serviceName:", `key "replicas" already set`},
		{"wrong type", "replicas: 1", "replicas: one", "want integer"},
		{"missing field", "  selector:\n    matchLabels:\n      app.kubernetes.io/name: repronet-aggregator\n  serviceName:", "  serviceName:", "missing property 'selector'"},
		{"unknown kind", "kind: StatefulSet", "kind: StatefulSets", "could not find schema for StatefulSets"},
		{"old version", "apiVersion: policy/v1", "apiVersion: policy/v1beta1", "could not find schema for PodDisruptionBudget"},
		{"custom resource", "path: /metrics", "url: /metrics", "additional properties 'url' not allowed"},
		{"a kind without rules", "apiVersion: v1\nkind: Namespace", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n---\napiVersion: v1\nkind: Namespace", "no rules for this kind"},
		// The security of the pod.
		{"privileged namespace", "enforce: restricted", "enforce: privileged", "does not enforce restricted"},
		{"other namespace", "namespace: repronet\nspec:\n  ingressClassName", "namespace: elsewhere\nspec:\n  ingressClassName", `in namespace "elsewhere"`},
		{"root", "runAsNonRoot: true", "runAsNonRoot: false", "runAsNonRoot"},
		{"seccomp", "type: RuntimeDefault", "type: Unconfined", "seccompProfile"},
		{"capabilities", "- ALL", "- CHOWN", "unrestricted capabilities"},
		{"escalation", "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "allowPrivilegeEscalation"},
		{"host path", "- configMap:\n          name", "- hostPath: {path: /}\n          x-name", "hostPath"},
		{"writable root", "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "root file system is writable"},
		{"account's token", "apiVersion: v1\nautomountServiceAccountToken: false\nkind: ServiceAccount", "apiVersion: v1\nkind: ServiceAccount", "mounts its token"},
		{"pod's token", "      automountServiceAccountToken: false\n", "", "mounts a service account's token"},
		{"account", "serviceAccountName: repronet-aggregator", "serviceAccountName: default", `service account "default", which is not rendered`},
		// The container.
		{"latest", "repronet-aggregator:0.1.0", "repronet-aggregator:latest", "no fixed version"},
		{"no tag", "repronet-aggregator:0.1.0", "repronet-aggregator", "no fixed version"},
		{"image of nowhere", "images.example.org/repronet", "repronet", "names no place"},
		{"no /tmp", "mountPath: /tmp", "mountPath: /temp", "cannot write to /tmp"},
		{"boundless /tmp", "emptyDir:\n          sizeLimit: 512Mi", "emptyDir: {}", "no size limit"},
		{"no request", "cpu: \"1\"\n", "cpu: \"0\"\n", "requests no CPU"},
		{"small limit", "memory: 3Gi", "memory: 1Gi", "is below its request"},
		{"same question", "path: /healthz/live", "path: /healthz/ready", "asks the same as the readiness probe"},
		{"no startup probe", "startupProbe", "xProbe", `unknown field "spec.template.spec.containers[0].xProbe"`},
		{"probe of another port", "path: /healthz/live\n            port: http", "path: /healthz/live\n            port: admin", "port admin, which it does not have"},
		{"impatient start", "failureThreshold: 120", "failureThreshold: 10", "less than a hang gets"},
		{"abrupt stop", "terminationGracePeriodSeconds: 120", "terminationGracePeriodSeconds: 30", "less than a minute to stop"},
		{"no wait", "sleep:\n              seconds: 5", "httpGet: {port: http}", "does not wait before it stops"},
		// One writer.
		{"two replicas", "replicas: 1", "replicas: 2", "has one writer"},
		{"volume deleted", "whenDeleted: Retain", "whenDeleted: Delete", "may delete the ledger's volume"},
		{"undrainable", "maxUnavailable: 1", "maxUnavailable: 0", "forbids every eviction"},
		{"undrainable too", "maxUnavailable: 1", "minAvailable: 1", "forbids every eviction"},
		{"no budget", "  selector:\n    matchLabels:\n      app.kubernetes.io/name: repronet-aggregator\n  unhealthy", "  selector:\n    matchLabels:\n      app.kubernetes.io/name: nobody\n  unhealthy", "0 disruption budgets"},
		// The network.
		{"service without pod", "  selector:\n    app.kubernetes.io/name: repronet-aggregator\n  type: ClusterIP", "  selector:\n    app.kubernetes.io/name: nobody\n  type: ClusterIP", "selects no pod"},
		{"service's port", "targetPort: libp2p-quic", "targetPort: libp2p-tcp", "sends UDP to port libp2p-tcp"},
		{"service's name", "serviceName: repronet-aggregator", "serviceName: nobody", `service "nobody"`},
		{"ingress's port", "port:\n              name: http", "port:\n              name: web", "leads to repronet-aggregator port web"},
		{"monitor's port", "- interval: 30s\n    path: /metrics\n    port: http", "- interval: 30s\n    path: /metrics\n    port: metrics", "port metrics at 0 services"},
		{"no default deny", "  podSelector: {}\n  policyTypes:\n  - Ingress\n  - Egress", "  podSelector: {}\n  policyTypes:\n  - Ingress", "denies everything by default"},
		{"port closed", "  - ports:\n    - port: 8080\n      protocol: TCP\n", "  - ports:\n", "no network policy opens port http"},
		{"port opened", "- port: 8080", "- port: 9090", "TCP port 9090, which no container"},
		{"every port opened", "  - ports:\n    - port: 8080\n", "  - {}\n  - ports:\n    - port: 8080\n", "opens every port"},
		{"calls anybody", "  egress:\n", "  egress:\n  - {}\n", "call anybody"},
		{"no names", "port: 53\n      protocol: UDP", "port: 54\n      protocol: UDP", "cannot look up names"},
		// The configuration.
		{"listens elsewhere", "listen: 0.0.0.0:8080", "listen: 0.0.0.0:8081", "it listens on"},
		{"quic elsewhere", "udp/4001/quic-v1", "udp/4002/quic-v1", "it listens on"},
		{"no origin", "origin: ledger.example.org", "origin: ''", "has no origin"},
		{"engine elsewhere", "engine: /usr/lib", "engine: /opt/lib", "but the image has"},
		{"data lost", "data: /data", "data: /tmp", "not on a volume that is kept"},
		{"other config map", "- configMap:\n          name: repronet-aggregator", "- configMap:\n          name: other", "which is not rendered"},
	})
}

// TestBrokenFollowers does the same to what only followers have.
func TestBrokenFollowers(t *testing.T) {
	breaks(t, "../overlays/followers", []breach{
		{"two writers", "follow: http://repronet-aggregator", "origin: another.example.org", "2 servers write a ledger"},
		{"no writer", "origin: ledger.repronet.invalid", "follow: http://repronet-aggregator", "0 servers write a ledger"},
		{"nobody there", "follow: http://repronet-aggregator", "follow: http://nobody", "follows nobody, which is not rendered"},
		{"no key", "log_key:", "# log_key:", "follows a ledger without its key"},
		{"all on one node", "topologyKey: kubernetes.io/hostname", "topologyKey: kubernetes.io/zone", "is not spread over nodes"},
		{"writer scaled", "kind: StatefulSet\n    name: repronet-aggregator-follower", "kind: StatefulSet\n    name: repronet-aggregator", "scales repronet-aggregator, but the ledger has one writer"},
		{"nobody scales", "kind: StatefulSet\n    name: repronet-aggregator-follower", "kind: StatefulSet\n    name: nobody", "either an autoscaler or a number of replicas"},
		{"libp2p without a port", "    listen: 0.0.0.0:8080\n    data: /data\n    engine: /usr/lib/repronet/libchdb.so\nkind", "    listen: 0.0.0.0:8080\n    data: /data\n    engine: /usr/lib/repronet/libchdb.so\n    libp2p: {listen: [/ip4/0.0.0.0/tcp/4001]}\nkind", "it listens on"},
	})
}

// A breach is a change that makes a sound deployment a bad one, and what is said of it.
type breach struct{ name, old, new, want string }

func breaks(t *testing.T, dir string, breaches []breach) {
	t.Helper()
	schemas := newSchemas(t)
	sound := render(t, dir)
	for _, test := range breaches {
		t.Run(test.name, func(t *testing.T) {
			if !strings.Contains(sound, test.old) {
				t.Fatalf("nothing to break: %q is not rendered", test.old)
			}
			err := everything(t.Context(), schemas, []byte(strings.Replace(sound, test.old, test.new, 1)))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one with %q", err, test.want)
			}
		})
	}
}
