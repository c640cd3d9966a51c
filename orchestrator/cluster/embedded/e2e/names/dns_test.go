package names

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
)

// backends are a Service with a ClusterIP, a headless one of a StatefulSet, and two names for other names.
const backends = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  podManagementPolicy: Parallel
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - {name: main, image: "registry.k8s.io/e2e-test-images/agnhost:2.59", args: [netexec, --http-port=8080, --udp-port=-1], ports: [{name: web, containerPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: None, selector: {app: db}, ports: [{name: sql, port: 8080, targetPort: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: db}, ports: [{name: http, port: 80, targetPort: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: alias}
spec: {type: ExternalName, externalName: %[1]s}
---
apiVersion: v1
kind: Service
metadata: {name: outside}
spec: {type: ExternalName, externalName: outside.invalid}
`

// client is a pod with a shell; spec holds more fields of its spec.
func client(name, spec string) string {
	return fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: %s}, spec: {terminationGracePeriodSeconds: 0, %s
		containers: [{name: main, image: "registry.local/library/busybox:1.36", command: [sleep, "100000"]}]}}`, name, spec)
}

func deployBackends(r *clustertest.Rig) {
	r.T.Helper()
	r.Apply(fmt.Sprintf(backends, "web."+r.Namespace+".svc.cluster.local"))
	r.Eventually("both backends are ready", func() (bool, string) {
		pods := r.ReadyPods("app=db")
		return len(pods) == 2, fmt.Sprintf("%d are", len(pods))
	})
}

// dashes is how an address is written in a name.
func dashes(address string) string { return strings.ReplaceAll(address, ".", "-") }

// lines are the words of an answer, sorted.
func lines(text string) []string { return slices.Sorted(slices.Values(strings.Fields(text))) }

func TestRecords(t *testing.T) {
	r := fixture.Rig(t)
	r.Apply(client("client", ""))
	deployBackends(r)
	r.Running("client")
	web, err := r.Kube.CoreV1().Services(r.Namespace).Get(t.Context(), "web", metav1.GetOptions{})
	require.NoError(t, err)
	first, second := r.Running("db-0").Status.PodIP, r.Running("db-1").Status.PodIP
	zone := r.Namespace + ".svc.cluster.local."
	// The endpoints reach CoreDNS a moment after the pods are ready.
	r.Eventually("both pods have names", func() (bool, string) {
		out, _ := r.Sh("client", "dig +short +search db")
		return len(lines(out)) == 2, out
	})
	both := []string{first, second}
	slices.Sort(both)
	for command, want := range map[string][]string{
		"dig +short +search web":                                                 {web.Spec.ClusterIP},
		"dig +short +search db":                                                  both,
		"dig +short +search db-0.db":                                             {first},
		"dig +short +tcp @10.96.0.10 db-1.db." + zone:                            {second},
		"dig +short +search alias":                                               lines("web." + zone + " " + web.Spec.ClusterIP),
		"dig +short outside." + zone:                                             {"outside.invalid."},
		"dig +short -x " + first:                                                 lines("db-0.db." + zone + " " + dashes(first) + ".web." + zone), // every Service that has the endpoint.
		"dig +short -x " + web.Spec.ClusterIP:                                    {"web." + zone},
		"dig +short -t SRV _http._tcp.web." + zone:                               lines("0 100 80 web." + zone),
		"dig +short kubernetes.default.svc.cluster.local":                        {"10.96.0.1"},
		"dig +short " + dashes(first) + "." + r.Namespace + ".pod.cluster.local": {first},
		"dig +short AAAA web." + zone:                                            {},
		"dig +short nothing." + zone:                                             {},
	} {
		require.Equal(t, want, append([]string{}, lines(r.OK("client", command))...), command)
	}
	srv := r.OK("client", "dig +short -t SRV _sql._tcp.db."+zone)
	for _, want := range []string{"0 50 8080 db-0.db." + zone, "0 50 8080 db-1.db." + zone} {
		require.Contains(t, srv, want)
	}
	require.Contains(t, r.OK("client", "nslookup web"), "Name:\tweb."+strings.TrimSuffix(zone, ".")+"\nAddress: "+web.Spec.ClusterIP)
	r.Fails("client", "nslookup nothing", "server can't find nothing: NXDOMAIN")
	// A name for a name is followed, and one that leads nowhere is an error.
	require.Contains(t, []string{"db-0", "db-1"}, r.OK("client", "curl -sS http://alias/hostname"))
	r.Fails("client", "curl -sS http://outside/", "Could not resolve host: outside")
}

// settings are the words of a resolv.conf. The kubelet puts options into no order.
func settings(conf string) []string {
	words := strings.Fields(conf)
	if i := slices.Index(words, "options"); i >= 0 {
		slices.Sort(words[i:])
	}
	return words
}

func TestPolicies(t *testing.T) {
	r := fixture.Rig(t)
	deployBackends(r)
	search := fmt.Sprintf("search %s.svc.cluster.local svc.cluster.local cluster.local\n", r.Namespace)
	const server = "nameserver 10.96.0.10\n"
	for _, tt := range []struct {
		name, spec, conf string
		web, full        bool // whether web, and its whole name, can be looked up.
	}{
		{"first", "", search + server + "options ndots:5\n", true, true},
		{"default", "dnsPolicy: Default,", "", false, false},
		{"none", `dnsPolicy: None, dnsConfig: {nameservers: [10.96.0.10], searches: [example.com], options: [{name: ndots, value: "2"}, {name: timeout, value: "1"}, {name: attempts, value: "3"}, {name: rotate}]},`,
			"search example.com\n" + server + "options ndots:2 timeout:1 attempts:3 rotate\n", false, true},
		{"merged", `dnsConfig: {searches: [example.com], options: [{name: ndots, value: "1"}, {name: single-request}]},`,
			strings.TrimSuffix(search, "\n") + " example.com\n" + server + "options ndots:1 single-request\n", true, true},
		// The first server is nobody's address: the second is asked when the first has been silent for its second.
		{"second", `dnsPolicy: None, dnsConfig: {nameservers: [10.244.200.200, 10.96.0.10], searches: [` + r.Namespace + `.svc.cluster.local], options: [{name: timeout, value: "1"}]},`,
			"search " + r.Namespace + ".svc.cluster.local\nnameserver 10.244.200.200\n" + server + "options timeout:1\n", true, true},
		{"hostnet", "hostNetwork: true, dnsPolicy: ClusterFirstWithHostNet,", search + server + "options ndots:5\n", true, true},
		{"hostnet-first", "hostNetwork: true, dnsPolicy: ClusterFirst,", "", false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := r.With(t)
			r.Apply(client(tt.name, tt.spec))
			r.Running(tt.name)
			require.Equal(t, settings(tt.conf), settings(r.OK(tt.name, "cat /etc/resolv.conf")))
			for name, known := range map[string]bool{"web": tt.web, "web." + r.Namespace + ".svc.cluster.local": tt.full} {
				script := "curl -sS -m 20 http://" + name + "/hostname"
				if known {
					require.Contains(t, []string{"db-0", "db-1"}, r.OK(tt.name, script))
				} else {
					r.Fails(tt.name, script, "Could not resolve host: "+name)
				}
			}
		})
	}
}

func TestHostAliases(t *testing.T) {
	r := fixture.Rig(t)
	r.Apply(client("client", `hostAliases: [{ip: 192.0.2.7, hostnames: [web, other.example]}, {ip: 192.0.2.8, hostnames: [web]}],`))
	r.Running("client")
	require.Contains(t, r.OK("client", "cat /etc/hosts"), "192.0.2.7\tweb\tother.example")
	require.Equal(t, []string{"192.0.2.7", "192.0.2.8", "web", "web"}, lines(r.OK("client", "getent hosts web")))
	require.Equal(t, []string{"192.0.2.7", "Other.Example"}, lines(r.OK("client", "getent hosts Other.Example")))
	require.Empty(t, r.OK("client", "dig +short +search web"), "name servers know no hosts file")
}
