package faultprobes

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gameday-bench/gameday/orchestrator/cluster/clustertest"
)

// chaos creates an object of Chaos Mesh; repair deletes it and waits until Chaos Mesh has recovered it.
func chaos(s *clustertest.Site, text string) (repair func()) {
	s.T.Helper()
	object := s.Decode(text)[0]
	client := s.Client(object)
	_, err := client.Create(s.T.Context(), object, metav1.CreateOptions{})
	require.NoError(s.T, err)
	repair = func() {
		err := client.Delete(context.Background(), object.GetName(), metav1.DeleteOptions{})
		require.True(s.T, err == nil || apierrors.IsNotFound(err), "%v", err)
		s.Eventually("the chaos is recovered", func() (bool, string) {
			now, err := client.Get(context.Background(), object.GetName(), metav1.GetOptions{})
			return apierrors.IsNotFound(err), fmt.Sprint(now)
		})
	}
	s.T.Cleanup(repair)
	return repair
}

// storeIO is an IOChaos on the volume of the store that bookings go to.
func storeIO(name, fields string) string {
	return fmt.Sprintf(`
apiVersion: chaos-mesh.org/v1alpha1
kind: IOChaos
metadata: {name: %s}
spec:
  mode: all
  selector: {labelSelectors: {app.kubernetes.io/name: mysql-reservation}}
  volumePath: /var/lib/mysql
  methods: [write]
  percent: 100
  %s
`, name, fields)
}

func TestStoreIO(t *testing.T) {
	for name, fault := range map[string]struct{ fields, objective string }{
		"slow":    {"action: latency\n  delay: 700ms", "reserve-latency-p95"},
		"failing": {"action: fault\n  errno: 5", "reserve-availability"},
		"full":    {"action: fault\n  errno: 28", "reserve-availability"},
	} {
		t.Run(name, func(t *testing.T) {
			s := fixture.Site(t, rate)
			repair := chaos(s, storeIO("store-"+name, fault.fields))
			s.Misses(fault.objective)
			repair()
			s.Healthy()
		})
	}
}

// TestClockSkew moves the clock of a service: what it logs comes from another time, and users notice nothing.
func TestClockSkew(t *testing.T) {
	s := fixture.Site(t, rate)
	repair := chaos(s, `
apiVersion: chaos-mesh.org/v1alpha1
kind: TimeChaos
metadata: {name: geo-clock}
spec:
  mode: all
  selector: {labelSelectors: {app.kubernetes.io/name: geo}}
  timeOffset: -2h
`)
	s.Eventually("the service logs the past", func() (bool, string) {
		off := logged(s, "app.kubernetes.io/name=geo")
		return off < -119*time.Minute && off > -125*time.Minute, off.String()
	})
	repair()
	s.Eventually("the service logs the present", func() (bool, string) {
		off := logged(s, "app.kubernetes.io/name=geo")
		return off.Abs() < time.Minute, off.String()
	})
	s.Healthy()
}

// logged says how far the newest line of a service's log is from the present.
func logged(s *clustertest.Site, selector string) time.Duration {
	s.T.Helper()
	pods := s.ReadyPods(selector)
	require.NotEmpty(s.T, pods)
	last := int64(1)
	data, err := s.Kube.CoreV1().Pods(s.Namespace).GetLogs(pods[0].Name, &corev1.PodLogOptions{TailLines: &last}).DoRaw(s.T.Context())
	require.NoError(s.T, err)
	var line struct{ Time time.Time }
	if err := json.Unmarshal([]byte(strings.TrimSpace(string(data))), &line); err != nil {
		return 0
	}
	return time.Until(line.Time)
}
