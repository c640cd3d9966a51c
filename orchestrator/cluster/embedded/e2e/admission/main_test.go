package admission

import (
	"fmt"
	"os"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

var fixture = clustertest.New(&embedded.Provider{}, cluster.Spec{Nodes: 2})

func TestMain(m *testing.M) { os.Exit(fixture.Main(m)) }

// box is a pod that waits; more is the rest of its manifest, indented as fields of the spec.
func box(name, more string) string {
	return fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s, labels: {app: %[1]s}}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: main, image: "registry.k8s.io/e2e-test-images/busybox:1.37.0-1", command: [sleep, "3600"]}]
%s`, name, more)
}

// pods returns the pods with a label.
func pods(r *clustertest.Rig, selector string) []corev1.Pod {
	r.T.Helper()
	list, err := r.Kube.CoreV1().Pods(r.Namespace).List(r.T.Context(), metav1.ListOptions{LabelSelector: selector})
	require.NoError(r.T, err)
	return list.Items
}
