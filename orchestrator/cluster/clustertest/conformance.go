package clustertest

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/internal/readiness"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
)

// The images of the suite's pods, by the references of the program binaries.
const (
	// ShellImage has a shell with curl.
	ShellImage = "registry.local/library/busybox:1.36"
	// ServerImage is Kubernetes' own test server, of which the suite uses the subcommand netexec.
	ServerImage = "registry.k8s.io/e2e-test-images/agnhost:2.59"
)

// Netem is the key of ConformanceOptions.Lacks for the packet scheduler that delays and loses packets.
const Netem = faults.Netem

// ConformanceOptions are what the suite cannot know of a provider.
type ConformanceOptions struct {
	// Shell and Server take the place of ShellImage and ServerImage, for a cluster whose nodes know them by other names.
	Shell, Server string
	// Archive makes an image archive with one image that no node has and that can do what ShellImage can. It is needed where
	// clusters have the capability ImageLoader.
	Archive func(t *testing.T) (path, ref string)
	// Left names what there is of the cluster with this name, wherever the provider puts things: processes, containers, files.
	// Nothing is an empty list. It may be called several times.
	Left func(t *testing.T, name string) []string
	// Break ends a part of a cluster as an accident would, and returns a word by which Err has to name that part. It is
	// needed where the provider makes its clusters itself.
	Break func(t *testing.T, c cluster.Cluster) (culprit string)
	// Attached says that the provider only attaches to a cluster that somebody else has made: the API server outlives Down,
	// and names do not matter.
	Attached bool
	// Refuses says that the provider keeps packets to what is not there on the nodes, so that who sends them is told at once. Elsewhere
	// they may get lost.
	Refuses bool
	// Lacks maps what the machine cannot do, such as Netem, to the reason, which the skipped test shows; nil lacks nothing.
	Lacks func(t *testing.T, c cluster.Cluster) map[string]string
}

// Conformance is what every provider has to pass, in one order: nothing is left of a cluster whose start is cancelled; a cluster
// comes up, loads an image, runs an application with its Services, names and volumes, answers exec, logs and port-forward,
// suffers and recovers from Chaos Mesh's faults, loses and regains nodes; it goes down and leaves nothing; and a second one breaks
// down and says so. What a provider has no capability for is skipped, with the reason. spec asks for two worker nodes at least.
func Conformance(t *testing.T, provider cluster.Provider, spec cluster.Spec, o ConformanceOptions) {
	t.Helper()
	if testing.Short() {
		t.Skip("brings up whole clusters")
	}
	require.NotNil(t, o.Left, "the suite has to know where to look for what is left")
	require.True(t, o.Attached || o.Break != nil, "the suite has to know how a cluster breaks down")
	o.Shell, o.Server = cmp.Or(o.Shell, ShellImage), cmp.Or(o.Server, ServerImage)
	spec.Name = cmp.Or(spec.Name, fmt.Sprintf("conf-%d", os.Getpid()))
	s := &suite{provider: provider, spec: spec, o: o, lacks: map[string]string{}}
	t.Run("cancelled-start", s.cancelledStart)
	s.fixture = New(provider, spec)
	s.cluster = s.fixture.Cluster(t)
	t.Cleanup(func() { s.takeDown(t, s.cluster) })
	if o.Lacks != nil {
		s.lacks = o.Lacks(t, s.cluster)
	}
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"up", s.up}, {"name-taken", s.nameTaken}, {"load-image", s.loadImage}, {"workloads", s.workloads}, {"own-logs", s.ownLogs},
		{"node-crash", s.nodeCrash}, {"node-hang", s.nodeHang}, {"kubelet-stop", s.kubeletStop}, {"down", s.down}, {"breakdown", s.breakdown},
	} {
		t.Run(part.name, part.run)
	}
}

// suite is one run of the conformance suite.
type suite struct {
	provider cluster.Provider
	spec     cluster.Spec
	o        ConformanceOptions
	lacks    map[string]string
	fixture  *Fixture
	cluster  cluster.Cluster
}

// manifest fills in the images.
func (s *suite) manifest(text string) string {
	return strings.NewReplacer("${shell}", s.o.Shell, "${server}", s.o.Server).Replace(text)
}

// workers returns the names of the nodes that take pods, sorted as the API server sorts them.
func (s *suite) workers(r *Rig) []string {
	r.T.Helper()
	nodes, err := r.Kube.CoreV1().Nodes().List(r.T.Context(), metav1.ListOptions{LabelSelector: "!node-role.kubernetes.io/control-plane"})
	require.NoError(r.T, err)
	var out []string
	for _, n := range nodes.Items {
		out = append(out, n.Name)
	}
	require.GreaterOrEqual(r.T, len(out), 2, "the suite wants two worker nodes")
	return out
}

// nodePatience is how long a node may take to be missed: upstream's controllers wait for 50 s, and look again every few.
const nodePatience = 3 * time.Minute

// awaitNode waits until a node is Ready, or is not any more.
func (s *suite) awaitNode(r *Rig, name string, ready bool) {
	r.T.Helper()
	r.Within(nodePatience, fmt.Sprintf("node %s has ready=%v", name, ready), func() (bool, string) {
		n, err := r.Kube.CoreV1().Nodes().Get(r.T.Context(), name, metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		return readiness.Node(n) == ready, fmt.Sprintf("%+v", n.Status.Conditions)
	})
}
