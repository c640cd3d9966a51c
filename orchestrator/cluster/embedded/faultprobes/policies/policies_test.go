package policies

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// policyStep changes the policies, or what they select, and says who reaches whom then. One that changes nothing is another probe of what the step
// before it has made.
type policyStep struct {
	// apply are manifests, in namespace x where they name none.
	apply string
	// change is done after it.
	change func(ctx context.Context, w *world)
	// probe is TCP port 80 when it has no port.
	probe   probe
	allowed func(from, to string) bool
}

// policy is a manifest of a NetworkPolicy.
func policy(name, spec string) string {
	return fmt.Sprintf("apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: %s}\nspec: %s\n---\n", name, spec)
}

// policyIn is one in another namespace than x.
func policyIn(letter, name, spec string) string {
	return strings.Replace(policy(name, spec), "{name: "+name+"}", "{name: "+name+", namespace: NAME("+letter+")}", 1)
}

// ingressPolicy is a policy for the pods a of its namespace.
func ingressPolicy(name, rules string) string {
	return policy(name, "{podSelector: {matchLabels: {pod: a}}, policyTypes: [Ingress], ingress: ["+rules+"]}")
}

func egressPolicy(name, rules string) string {
	return policy(name, "{podSelector: {matchLabels: {pod: a}}, policyTypes: [Egress], egress: ["+rules+"]}")
}

var (
	tcp80, tcp81 = probe{port: 80}, probe{port: 81}
	udp80, udp81 = probe{port: 80, udp: true}, probe{port: 81, udp: true}

	xa     = only("x/a")
	always = func(string, string) bool { return true }

	denyIngress = policy("deny-ingress", "{podSelector: {}, policyTypes: [Ingress]}")
	denyEgress  = policy("deny-egress", "{podSelector: {}, policyTypes: [Egress]}")
	denyAll     = policy("deny-all", "{podSelector: {}, policyTypes: [Ingress, Egress]}")
	allowIn     = policy("allow-ingress", "{podSelector: {}, policyTypes: [Ingress], ingress: [{}]}")
	allowOut    = policy("allow-egress", "{podSelector: {}, policyTypes: [Egress], egress: [{}]}")
	fromY       = "from: [{namespaceSelector: {matchLabels: {ns: 'y'}}}]"
)

// relabel sets a label of a pod or a namespace.
func relabel(name, key, to string) func(context.Context, *world) {
	return func(ctx context.Context, w *world) { w.label(ctx, name, key, to) }
}

// The cases are those of Kubernetes' own end-to-end tests of network policies (test/e2e/network/netpol), without SCTP traffic.
var policyCases = []struct {
	name  string
	steps []policyStep
}{
	{"deny all ingress", []policyStep{
		{apply: denyIngress, allowed: into(in("x"), nobody)},
		{probe: tcp81, allowed: into(in("x"), nobody)},
		{probe: udp80, allowed: into(in("x"), nobody)},
	}},
	{"deny all egress", []policyStep{{apply: denyEgress, allowed: outOf(in("x"), nobody)}}},
	{"deny all", []policyStep{{apply: denyAll, allowed: all(into(in("x"), nobody), outOf(in("x"), nobody))}}},
	{"deny egress of a pod", []policyStep{{apply: egressPolicy("deny", ""), allowed: outOf(xa, nobody)}}},
	{"allow all", []policyStep{{apply: allowIn, allowed: always}, {probe: tcp81, allowed: always}}},
	{"pods of the namespace", []policyStep{
		{apply: denyIngress + ingressPolicy("allow", "{from: [{podSelector: {}}]}"), allowed: all(into(both(in("x"), not(xa)), nobody), into(xa, in("x")))},
	}},
	{"a pod of the namespace", []policyStep{
		{apply: ingressPolicy("allow", "{from: [{podSelector: {matchLabels: {pod: b}}}]}"), allowed: into(xa, only("x/b"))},
	}},
	{"pods of all namespaces", []policyStep{
		{apply: denyIngress + ingressPolicy("allow", "{from: [{namespaceSelector: {}}]}"), allowed: into(both(in("x"), not(xa)), nobody)},
	}},
	{"a namespace", []policyStep{{apply: ingressPolicy("allow", "{"+fromY+"}"), allowed: into(xa, in("y"))}}},
	{"a namespace by the label that all have", []policyStep{
		{apply: ingressPolicy("allow", "{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAME(y)}}}]}"), allowed: into(xa, in("y"))},
	}},
	{"expressions for pods", []policyStep{
		{apply: ingressPolicy("allow", "{from: [{podSelector: {matchExpressions: [{key: pod, operator: In, values: [b]}]}}]}"), allowed: into(xa, only("x/b"))},
	}},
	{"expressions for namespaces", []policyStep{
		{apply: ingressPolicy("allow", "{from: [{namespaceSelector: {matchExpressions: [{key: ns, operator: NotIn, values: [x, z]}, {key: ns, operator: Exists}]}}]}"),
			allowed: into(xa, in("y"))},
	}},
	{"a namespace or a pod", []policyStep{
		{apply: ingressPolicy("allow", "{from: [{namespaceSelector: {matchLabels: {ns: 'y'}}}, {podSelector: {matchLabels: {pod: b}}}]}"),
			allowed: into(xa, func(p string) bool { return p == "x/b" || in("y")(p) })},
	}},
	{"a pod of a namespace", []policyStep{
		{apply: ingressPolicy("allow", "{from: [{namespaceSelector: {matchLabels: {ns: 'y'}}, podSelector: {matchLabels: {pod: b}}}]}"), allowed: into(xa, only("y/b"))},
	}},
	{"several of each", []policyStep{
		{apply: ingressPolicy("allow", "{from: [{namespaceSelector: {matchExpressions: [{key: ns, operator: NotIn, values: [x]}]}, podSelector: {matchExpressions: [{key: pod, operator: In, values: [b, c]}]}}]}"),
			allowed: into(xa, both(in("yz"), called("bc")))},
	}},
	{"any of several pods", []policyStep{
		{apply: ingressPolicy("allow", "{from: [{podSelector: {matchLabels: {pod: b}}}, {podSelector: {matchLabels: {pod: c}}}]}"), allowed: into(xa, only("x/b", "x/c"))},
	}},
	{"no other namespace", []policyStep{
		{apply: policy("own", "{podSelector: {}, ingress: [{from: [{podSelector: {}}]}]}"), allowed: into(in("x"), in("x"))},
	}},
	{"ports", []policyStep{
		{apply: ingressPolicy("allow", "{"+fromY+", ports: [{port: 81}]}"), probe: tcp81, allowed: into(xa, in("y"))},
		{allowed: into(xa, nobody)},
	}},
	{"a range of ports", []policyStep{
		{apply: ingressPolicy("allow", "{ports: [{port: 81, endPort: 90}]}"), allowed: into(xa, nobody)},
		{probe: tcp81, allowed: always},
		{apply: ingressPolicy("allow", "{ports: [{port: 79, endPort: 80}]}"), allowed: always},
		{probe: tcp81, allowed: into(xa, nobody)},
	}},
	{"stacked policies", []policyStep{
		{apply: ingressPolicy("allow-81", "{"+fromY+", ports: [{port: 81}]}"), allowed: into(xa, nobody)},
		{probe: tcp81, allowed: into(xa, in("y"))},
		{apply: ingressPolicy("allow-80", "{"+fromY+", ports: [{port: 80}]}"), allowed: into(xa, in("y"))},
		{probe: tcp81, allowed: into(xa, in("y"))},
	}},
	{"ingress is allowed by any policy", []policyStep{
		{apply: denyIngress, allowed: into(in("x"), nobody)}, {apply: allowIn, allowed: always},
	}},
	{"egress is allowed by any policy", []policyStep{
		{apply: denyEgress, allowed: outOf(in("x"), nobody)}, {apply: allowOut, allowed: always},
	}},
	{"a named port", []policyStep{
		{apply: ingressPolicy("allow", "{ports: [{port: serve-81-tcp}]}"), allowed: into(xa, nobody)}, {probe: tcp81, allowed: always},
	}},
	{"a named port for a namespace", []policyStep{
		{apply: ingressPolicy("allow", "{"+fromY+", ports: [{port: serve-80-tcp}]}"), allowed: into(xa, in("y"))}, {probe: tcp81, allowed: into(xa, nobody)},
	}},
	{"egress to a named port", []policyStep{
		{apply: policy("allow", "{podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: serve-80-tcp}]}]}"), probe: tcp81, allowed: outOf(in("x"), nobody)},
		{allowed: always},
	}},
	{"a policy changes", []policyStep{
		{apply: policy("mutable", "{podSelector: {}, policyTypes: [Ingress], ingress: [{}]}"), probe: tcp81, allowed: always},
		{apply: policy("mutable", "{podSelector: {}, policyTypes: [Ingress], ingress: []}"), probe: tcp81, allowed: into(in("x"), nobody)},
	}},
	{"policies go", []policyStep{
		{apply: denyAll, allowed: all(into(in("x"), nobody), outOf(in("x"), nobody))},
		{change: func(ctx context.Context, w *world) { w.clear(ctx) }, allowed: always},
	}},
	{"a namespace's label changes", []policyStep{
		{apply: ingressPolicy("allow", "{from: [{namespaceSelector: {matchLabels: {ns2: updated}}}]}"), allowed: into(xa, nobody)},
		{change: relabel("y", "ns2", "updated"), allowed: into(xa, in("y"))},
		{change: relabel("y", "ns2", ""), allowed: into(xa, nobody)},
	}},
	{"a client's label changes", []policyStep{
		{apply: ingressPolicy("allow", "{from: [{podSelector: {matchLabels: {pod: b, pod2: updated}}}]}"), allowed: into(xa, nobody)},
		{change: relabel("x/b", "pod2", "updated"), allowed: into(xa, only("x/b"))},
		{change: relabel("x/b", "pod2", ""), allowed: into(xa, nobody)},
	}},
	{"a target's label changes", []policyStep{
		{apply: policy("isolated", "{podSelector: {matchLabels: {target: isolated}}, policyTypes: [Ingress]}"), allowed: always},
		{change: relabel("x/a", "target", "isolated"), allowed: into(xa, nobody)},
		{change: relabel("x/a", "target", ""), allowed: always},
	}},
	{"ingress and egress in one", []policyStep{
		{apply: policy("both", `{podSelector: {matchLabels: {pod: a}}, policyTypes: [Ingress, Egress], ingress: [{`+fromY+`}],
  egress: [{to: [{namespaceSelector: {matchLabels: {ns: 'z'}}}]}]}`), allowed: all(into(xa, in("y")), outOf(xa, in("z")))},
	}},
	{"the client's side denies", []policyStep{
		{apply: egressPolicy("client", "{to: [{namespaceSelector: {matchLabels: {ns: 'y'}}, podSelector: {matchLabels: {pod: b}}}]}") +
			policyIn("y", "server", "{podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{namespaceSelector: {}}]}]}"), allowed: outOf(xa, only("y/b"))},
	}},
	{"a block", []policyStep{{apply: egressPolicy("allow", "{to: [{ipBlock: {cidr: IP(y/b)/32}}]}"), allowed: outOf(xa, only("y/b"))}}},
	{"all of a block but one", []policyStep{
		{apply: egressPolicy("allow", "{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [IP(y/b)/32]}}]}"), allowed: outOf(xa, not(only("y/b")))},
	}},
	{"excepted here and allowed there", []policyStep{
		{apply: egressPolicy("except", "{to: [{ipBlock: {cidr: 0.0.0.0/0, except: [IP(y/b)/32]}}]}"), allowed: outOf(xa, not(only("y/b")))},
		{apply: egressPolicy("exactly", "{to: [{ipBlock: {cidr: IP(y/b)/32}}]}"), allowed: always},
	}},
	{"a block of clients", []policyStep{
		{apply: ingressPolicy("allow", "{from: [{ipBlock: {cidr: 0.0.0.0/0, except: [IP(z/c)/32]}}]}"), allowed: into(xa, not(only("z/c")))},
	}},
	{"any port of a protocol", []policyStep{
		{apply: ingressPolicy("allow", "{ports: [{protocol: TCP}]}"), probe: udp81, allowed: into(xa, nobody)},
		{probe: tcp81, allowed: always},
	}},
	{"UDP is not TCP", []policyStep{
		{apply: ingressPolicy("allow", "{ports: [{protocol: UDP, port: 81}]}"), probe: tcp81, allowed: into(xa, nobody)},
		{probe: udp81, allowed: always},
		{probe: udp80, allowed: into(xa, nobody)},
	}},
	{"SCTP is not TCP", []policyStep{
		{apply: ingressPolicy("allow", "{ports: [{protocol: SCTP, port: 80}]}"), allowed: into(xa, nobody)},
	}},
	{"egress to DNS", []policyStep{
		{apply: denyEgress, change: resolves(false), allowed: outOf(in("x"), nobody)},
		{apply: policy("dns", `{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}}],
  ports: [{port: 53, protocol: UDP}, {port: 53}]}]}`), change: resolves(true), allowed: outOf(in("x"), nobody)},
	}},
}

// resolves waits until the pods of namespace x can look names up, or cannot.
func resolves(can bool) func(context.Context, *world) {
	return func(ctx context.Context, w *world) {
		w.T.Helper()
		r, pod := w.of("x/a")
		w.Eventually(fmt.Sprint("x/a resolves names: ", can), func() (bool, string) {
			out, code, err := r.TryExec(ctx, pod, "sh", "-c", w.fill("timeout 2 getent hosts s-b.NAME(y).svc.cluster.local"))
			return err == nil && (code == 0) == can, fmt.Sprint(out, code, err)
		})
	}
}

// TestNetworkPolicies goes through the cases, one after the other, on one set of pods.
func TestNetworkPolicies(t *testing.T) {
	w := newWorld(t)
	t.Run("no policy", func(t *testing.T) {
		w.with(t).expect(reach{tcp80, always}, reach{tcp81, always}, reach{udp80, always}, reach{udp81, always})
	})
	for _, tc := range policyCases {
		t.Run(tc.name, func(t *testing.T) {
			w := w.with(t)
			t.Cleanup(func() { w.clear(context.WithoutCancel(t.Context())) })
			for len(tc.steps) > 0 {
				w.change(t.Context(), tc.steps[0])
				n := probes(tc.steps)
				w.expect(reachesOf(tc.steps[:n])...)
				tc.steps = tc.steps[n:]
			}
		})
	}
	t.Run("no policy any more", func(t *testing.T) { w.with(t).expect(reach{tcp80, always}) })
}

// change makes what a step changes.
func (w *world) change(ctx context.Context, step policyStep) {
	w.T.Helper()
	if step.apply != "" {
		w.In(w.spaces["x"]).Apply(w.fill(step.apply))
	}
	if step.change != nil {
		step.change(ctx, w)
	}
}

// probes is how many of the steps are about what the first one makes.
func probes(steps []policyStep) int {
	n := 1
	for n < len(steps) && steps[n].apply == "" && steps[n].change == nil {
		n++
	}
	return n
}

func reachesOf(steps []policyStep) []reach {
	var out []reach
	for _, step := range steps {
		p := step.probe
		if p.port == 0 {
			p = tcp80
		}
		out = append(out, reach{p, step.allowed})
	}
	return out
}

// TestPoliciesThatAreNone: the API server refuses what no policy can say.
func TestPoliciesThatAreNone(t *testing.T) {
	r := fixture.Rig(t)
	for _, tc := range []struct{ spec, want string }{
		{"{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [11.0.0.0/16]}}]}]}", "except"},
		{"{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: somewhere}}]}]}", "cidr"},
		{"{podSelector: {}, ingress: [{ports: [{port: 80, endPort: 79}]}]}", "endPort"},
		{"{podSelector: {}, ingress: [{ports: [{protocol: ICMP, port: 80}]}]}", "protocol"},
		{"{podSelector: {}, policyTypes: [Sideways]}", "policyTypes"},
	} {
		require.Contains(t, r.Rejected(policy("wrong", tc.spec)), tc.want)
	}
}
