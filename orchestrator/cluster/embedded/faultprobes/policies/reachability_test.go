package policies

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
)

// nine are the pods of Kubernetes' own tests of network policies: a, b and c in each of the namespaces x, y and z.
var nine = []string{"x/a", "x/b", "x/c", "y/a", "y/b", "y/c", "z/a", "z/b", "z/c"}

// server is one of the nine: a container for each of the ports 80 and 81, over TCP and UDP. Port 80 has a Service too.
const server = `
apiVersion: v1
kind: Pod
metadata: {name: POD, labels: {pod: POD}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: serve-80
      image: registry.k8s.io/e2e-test-images/agnhost:2.59
      args: [netexec, --http-port=80, --udp-port=80]
      ports: [{name: serve-80-tcp, containerPort: 80}, {name: serve-80-udp, containerPort: 80, protocol: UDP}]
    - name: serve-81
      image: registry.k8s.io/e2e-test-images/agnhost:2.59
      args: [netexec, --http-port=81, --udp-port=81]
      ports: [{name: serve-81-tcp, containerPort: 81}, {name: serve-81-udp, containerPort: 81, protocol: UDP}]
---
apiVersion: v1
kind: Service
metadata: {name: s-POD}
spec:
  selector: {pod: POD}
  ports: [{name: tcp, port: 80}, {name: udp, port: 80, protocol: UDP}]
`

// world is the nine pods.
type world struct {
	*clustertest.Rig
	// spaces are the namespaces by the letters that the tests call them, pods and services the addresses by the pods' names.
	spaces         map[string]string
	pods, services map[string]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Rig: fixture.Rig(t), spaces: map[string]string{}, pods: map[string]string{}, services: map[string]string{}}
	for _, letter := range []string{"x", "y", "z"} {
		ns, err := w.Kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "policies-" + letter + "-", Labels: map[string]string{"ns": letter}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		w.spaces[letter] = ns.Name
		t.Cleanup(func() { _ = w.Kube.CoreV1().Namespaces().Delete(context.Background(), ns.Name, metav1.DeleteOptions{}) })
	}
	for _, name := range nine {
		r, pod := w.of(name)
		r.Eventually("a service account is there", func() (bool, string) {
			_, err := r.Kube.CoreV1().ServiceAccounts(r.Namespace).Get(t.Context(), "default", metav1.GetOptions{})
			return err == nil, fmt.Sprint(err)
		})
		r.Apply(strings.ReplaceAll(server, "POD", pod))
	}
	for _, name := range nine {
		r, pod := w.of(name)
		w.pods[name] = r.Running(pod).Status.PodIP
		s, err := r.Kube.CoreV1().Services(r.Namespace).Get(t.Context(), "s-"+pod, metav1.GetOptions{})
		require.NoError(t, err)
		w.services[name] = s.Spec.ClusterIP
	}
	return w
}

// of is the rig for the namespace of one of the nine, and its name there.
func (w *world) of(name string) (*clustertest.Rig, string) {
	letter, pod, _ := strings.Cut(name, "/")
	return w.In(w.spaces[letter]), pod
}

// with returns the world for a part of the test.
func (w *world) with(t *testing.T) *world {
	part := *w
	part.Rig = w.With(t)
	return &part
}

// fill puts the names of namespaces and the addresses of pods into a manifest: NAME(x), IP(y/b).
func (w *world) fill(text string) string {
	for letter, name := range w.spaces {
		text = strings.ReplaceAll(text, "NAME("+letter+")", name)
	}
	for name, ip := range w.pods {
		text = strings.ReplaceAll(text, "IP("+name+")", ip)
	}
	return text
}

// label sets a label of a pod, or of a namespace when name is a letter; "" removes it.
func (w *world) label(ctx context.Context, name, key, to string) {
	w.T.Helper()
	patch := []byte(fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, key, to))
	if to == "" {
		patch = []byte(fmt.Sprintf(`{"metadata":{"labels":{%q:null}}}`, key))
	}
	if space, ok := w.spaces[name]; ok {
		_, err := w.Kube.CoreV1().Namespaces().Patch(ctx, space, types.MergePatchType, patch, metav1.PatchOptions{})
		require.NoError(w.T, err)
		return
	}
	r, pod := w.of(name)
	_, err := r.Kube.CoreV1().Pods(r.Namespace).Patch(ctx, pod, types.MergePatchType, patch, metav1.PatchOptions{})
	require.NoError(w.T, err)
}

// clear deletes all policies.
func (w *world) clear(ctx context.Context) {
	w.T.Helper()
	for _, space := range w.spaces {
		require.NoError(w.T, w.Kube.NetworkingV1().NetworkPolicies(space).DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
	}
}

// probe is how pods try to reach each other.
type probe struct {
	port int
	udp  bool
}

func (p probe) String() string {
	if p.udp {
		return fmt.Sprintf("UDP %d", p.port)
	}
	return fmt.Sprintf("TCP %d", p.port)
}

// reach is who reaches whom by a probe.
type reach struct {
	probe   probe
	allowed func(from, to string) bool
}

// patience is how long a pod waits for an answer, in seconds: a packet that a policy drops is not answered at all.
const patience = 1

// script tries to reach every other pod by every probe at once, and prints for each that answers the probe's number and the pod's name. Port 80 is
// reached through the Services.
func (w *world) script(from string, reaches []reach) string {
	var b strings.Builder
	for i, r := range reaches {
		for _, to := range nine {
			if to == from {
				continue
			}
			address := w.pods[to]
			if r.probe.port == 80 {
				address = w.services[to]
			}
			try := fmt.Sprintf("nc -z -w %d %s %d", patience, address, r.probe.port)
			if r.probe.udp {
				try = fmt.Sprintf(`[ -n "$(printf hostname | nc -u -w %d %s %d)" ]`, patience, address, r.probe.port)
			}
			fmt.Fprintf(&b, "{ %s && echo %s; } 2>/dev/null &\n", try, answer(i, to))
		}
	}
	return b.String() + "wait\nexit 0\n"
}

// answer is what is printed when a pod answers a probe.
func answer(probe int, to string) string { return fmt.Sprintf("%d:%s", probe, to) }

// reachable asks all pods at once, and draws what they reach.
func (w *world) reachable(ctx context.Context, reaches []reach) (string, error) {
	answers := make([][]string, len(nine))
	g, ctx := errgroup.WithContext(ctx)
	for i, from := range nine {
		r, pod := w.of(from)
		g.Go(func() error {
			out, _, err := r.TryExec(ctx, pod, "sh", "-c", w.script(from, reaches))
			answers[i] = strings.Fields(out)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return "", err
	}
	var seen []reach
	for i, r := range reaches {
		seen = append(seen, reach{r.probe, func(from, to string) bool {
			return slices.Contains(answers[slices.Index(nine, from)], answer(i, to))
		}})
	}
	return drawAll(seen), nil
}

// drawAll draws who reaches whom by each probe.
func drawAll(reaches []reach) string {
	var b strings.Builder
	for _, r := range reaches {
		b.WriteString("\n" + r.probe.String() + draw(r.allowed))
	}
	return b.String()
}

// draw draws who reaches whom: a row for each pod, a column for each that it may reach. A pod always reaches itself, which is not asked.
func draw(reaches func(from, to string) bool) string {
	var b strings.Builder
	b.WriteString("\n    " + strings.Join(nine, " ") + "\n")
	for _, from := range nine {
		b.WriteString(from)
		for _, to := range nine {
			mark := "  X "
			if from == to || reaches(from, to) {
				mark = "  . "
			}
			b.WriteString(mark)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// expect waits until the pods reach each other as they should, by all probes at the same time.
func (w *world) expect(reaches ...reach) {
	w.T.Helper()
	want := drawAll(reaches)
	began := time.Now()
	w.Eventually("pods reach each other as they should:"+want, func() (bool, string) {
		got, err := w.reachable(w.T.Context(), reaches)
		return err == nil && got == want, fmt.Sprint(got, err)
	})
	w.T.Logf("%d probes as expected after %s", len(reaches), time.Since(began).Round(time.Millisecond))
}

// set is some of the nine pods.
type set func(name string) bool

func nobody(string) bool { return false }

// in are the pods of namespaces.
func in(letters string) set {
	return func(name string) bool { return strings.Contains(letters, name[:1]) }
}

// called are the pods of some names, in any namespace.
func called(letters string) set {
	return func(name string) bool { return strings.Contains(letters, name[2:]) }
}

func only(names ...string) set { return func(name string) bool { return slices.Contains(names, name) } }

func not(s set) set { return func(name string) bool { return !s(name) } }

func both(a, b set) set { return func(name string) bool { return a(name) && b(name) } }

// into: the targets are reached by sources alone.
func into(targets, sources set) func(from, to string) bool {
	return func(from, to string) bool { return !targets(to) || sources(from) }
}

// outOf: the sources reach targets alone.
func outOf(sources, targets set) func(from, to string) bool {
	return func(from, to string) bool { return !sources(from) || targets(to) }
}

func all(rules ...func(from, to string) bool) func(from, to string) bool {
	return func(from, to string) bool {
		return !slices.ContainsFunc(rules, func(rule func(from, to string) bool) bool { return !rule(from, to) })
	}
}
