package e2e

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestExamples applies Chaos Mesh's examples, one after the other, on one cluster. It measures times: the tests that may run side by side, in
// namespaces of their own, come after it.
func TestExamples(t *testing.T) {
	r := newRig(t)
	for _, tc := range []struct {
		name string
		run  func(*rig)
	}{
		{"network-delay", networkDelay},
		{"network-delay-with-target", networkDelayWithTarget},
		{"network-loss", networkLoss},
		{"network-corrupt", networkCorrupt},
		{"network-duplicate", networkDuplicate},
		{"network-bandwidth", networkBandwidth},
		{"network-netem", networkNetem},
		{"network-partition", networkPartition},
		{"dns", dnsChaos},
		{"http-patch", httpPatch},
		{"http-actions", httpActions},
		{"stress-cpu", stressCPU},
		{"stress-memory", stressMemory},
		{"container-kill", containerKill},
		{"pod-kill", podKill},
		{"pod-failure", podFailure},
		{"as-they-are", asTheyAre},
	} {
		ok := t.Run(tc.name, func(t *testing.T) {
			r := *r
			r.T = t
			tc.run(&r)
		})
		if !ok && t.Context().Err() != nil {
			return
		}
	}
}

// server is the path of a page of the front end that needs nothing behind it.
func (r *rig) server() string { return "http://tikv.default/" }

func networkDelay(r *rig) {
	before := r.get("default", "client", r.server(), 5)
	require.Zero(r.T, failed(before))
	undo := r.inject(all(r.example("network-delay-example.yaml")))
	during := r.get("default", "client", r.server(), 10)
	r.T.Logf("mean %.3f s before, %.3f s during", mean(before), mean(during))
	// 90 ms plus or minus 90 ms on each packet of the server: the handshake's and the answer's.
	require.Greater(r.T, mean(during), mean(before)+0.08)
	undo()
	after := r.get("default", "client", r.server(), 5)
	require.Less(r.T, mean(after), mean(before)+0.05)
}

func networkDelayWithTarget(r *rig) {
	db, err := r.Kube.CoreV1().Pods("db").Get(r.T.Context(), "db", metav1.GetOptions{})
	require.NoError(r.T, err)
	toTarget, elsewhere := "http://"+db.Status.PodIP+":8080/", r.server()
	undo := r.inject(all(r.example("network-delay-with-target-example.yaml")))
	defer undo()
	slow, fast := r.get("web", "web", toTarget, 8), r.get("web", "web", elsewhere, 8)
	other := r.get("default", "client", toTarget, 5)
	r.T.Logf("mean %.3f s to the target, %.3f s elsewhere, %.3f s from somebody else", mean(slow), mean(fast), mean(other))
	require.Greater(r.T, mean(slow), mean(fast)+0.08)
	require.Less(r.T, mean(other), mean(slow)-0.05)
	undo()
	require.Less(r.T, mean(r.get("web", "web", toTarget, 5)), 0.08)
}

// slower injects an example that loses packets, and asks until four requests have waited for a retransmission. The
// examples' correlation makes 25 % of loss 17 %, so about three of ten wait: fewer than four of sixty do once in a million.
func slower(r *rig, name string) {
	undo := r.inject(all(r.example(name)))
	asked, waited := 0, 0
	for asked < 60 && waited < 4 {
		q := r.get("default", "client", r.server(), 1)[0]
		asked++
		if q.exit != 0 || q.seconds > 0.15 {
			waited++
		}
	}
	r.T.Logf("%d of %d requests waited", waited, asked)
	require.Equal(r.T, 4, waited)
	undo()
	after := r.get("default", "client", r.server(), 5)
	require.Zero(r.T, failed(after))
	require.Less(r.T, mean(after), 0.1)
}

func networkLoss(r *rig) { slower(r, "network-loss-example.yaml") }

func networkCorrupt(r *rig) { slower(r, "network-corrupt-example.yaml") }

func networkNetem(r *rig) { slower(r, "network-netem-example.yaml") }

func networkDuplicate(r *rig) {
	undo := r.inject(all(r.example("network-duplicate-example.yaml")))
	require.Zero(r.T, failed(r.get("default", "client", r.server(), 10)), "TCP drops duplicates")
	undo()
}

func networkBandwidth(r *rig) {
	pod := r.ReadyPods("app=tikv")[0]
	page := "http://" + pod.Status.PodIP + ":9464/metrics"
	before := r.get("default", "client", page, 3)
	example := all(r.example("network-bandwidth-example.yaml"))
	// The example's queue of 100 bytes loses every packet that has to wait; with room for some, the rate can be seen.
	require.NoError(r.T, unstructured.SetNestedField(example.Object, "20kbps", "spec", "bandwidth", "rate"))
	require.NoError(r.T, unstructured.SetNestedField(example.Object, int64(1<<20), "spec", "bandwidth", "limit"))
	undo := r.inject(example)
	during := r.get("default", "client", page, 3)
	r.T.Logf("%d bytes: mean %.3f s before, %.3f s during", len(before[0].body), mean(before), mean(during))
	require.Greater(r.T, mean(during), mean(before)+0.1)
	undo()
	require.Less(r.T, mean(r.get("default", "client", page, 3)), mean(before)+0.05)
}

func networkPartition(r *rig) {
	pods := r.ReadyPods("app=tikv")
	require.Len(r.T, pods, 2)
	between := func() []request {
		return r.get("default", pods[0].Name, "http://"+pods[1].Status.PodIP+":8080/", 2)
	}
	require.Zero(r.T, failed(between()))
	undo := r.inject(all(r.example("network-partition-example.yaml")))
	require.Equal(r.T, 2, failed(between()))
	require.Zero(r.T, failed(r.get("default", "client", "http://"+pods[1].Status.PodIP+":8080/", 2)), "others get through")
	undo()
	require.Zero(r.T, failed(between()))
}

func dnsChaos(r *rig) {
	lookup := func(name string) (string, bool) {
		text, code := r.In("busybox").Exec("busybox", "nslookup", name)
		return text, code == 0
	}
	_, ok := lookup("google.com")
	require.False(r.T, ok, "there is no internet")
	text, ok := lookup("kubernetes.default.svc.cluster.local")
	require.True(r.T, ok, text)
	example := r.example("dns-chaos-example.yaml")
	undo := r.inject(example)
	for _, name := range []string{"google.com", "chaos-mesh.org", "github.com"} {
		text, ok := lookup(name)
		require.True(r.T, ok, "%s: %s", name, text)
	}
	text, ok = lookup("kubernetes.default.svc.cluster.local")
	require.True(r.T, ok, text)
	require.Contains(r.T, text, "10.96.0.1")
	undo()
	_, ok = lookup("google.com")
	require.False(r.T, ok)

	failing := r.example("dns-chaos-example.yaml")
	require.NoError(r.T, unstructured.SetNestedField(failing.Object, "error", "spec", "action"))
	require.NoError(r.T, unstructured.SetNestedStringSlice(failing.Object, []string{"kubernetes.default.*"}, "spec", "patterns"))
	undo = r.inject(failing)
	_, ok = lookup("kubernetes.default.svc.cluster.local")
	require.False(r.T, ok)
	_, ok = lookup("tikv.default.svc.cluster.local")
	require.True(r.T, ok)
	undo()
	_, ok = lookup("kubernetes.default.svc.cluster.local")
	require.True(r.T, ok)
}

func (r *rig) nginx() string {
	pods := r.ReadyPods("app=nginx")
	require.Len(r.T, pods, 1)
	return "http://" + pods[0].Status.PodIP + "/hotels?inDate=2026-01-01&outDate=2026-01-02&lat=1&lon=1"
}

func httpPatch(r *rig) {
	before := r.get("default", "client", r.nginx(), 1)[0]
	require.NotContains(r.T, before.body, "hacked")
	undo := r.inject(r.example("nginx/http-patch-response.yaml"))
	during := r.get("default", "client", r.nginx(), 1)[0]
	r.T.Log(before.body, " -> ", during.body)
	require.Contains(r.T, during.body, `"reason":"hacked by Chaos Mesh"`)
	require.Equal(r.T, before.code, during.code)
	undo()
	require.Equal(r.T, before.body, r.get("default", "client", r.nginx(), 1)[0].body)
}

func httpActions(r *rig) {
	base := r.example("nginx/http-patch-response.yaml")
	unstructured.RemoveNestedField(base.Object, "spec", "patch")
	with := func(name string, fields map[string]any) *unstructured.Unstructured {
		object := base.DeepCopy()
		object.SetName(name)
		for field, value := range fields {
			require.NoError(r.T, unstructured.SetNestedField(object.Object, value, "spec", field))
		}
		return object
	}
	before := r.get("default", "client", r.nginx(), 1)[0]
	require.Zero(r.T, before.exit)

	undo := r.inject(with("abort", map[string]any{"target": "Request", "abort": true, "path": "/hotels*"}))
	require.NotZero(r.T, r.get("default", "client", r.nginx(), 1)[0].exit)
	require.Zero(r.T, r.get("default", "client", strings.Replace(r.nginx(), "/hotels", "/other", 1), 1)[0].exit)
	undo()
	undo = r.inject(with("delay", map[string]any{"target": "Response", "delay": "400ms"}))
	require.Greater(r.T, r.get("default", "client", r.nginx(), 1)[0].seconds, before.seconds+0.3)
	undo()
	undo = r.inject(with("replace", map[string]any{"target": "Response", "code": int64(before.code), "replace": map[string]any{"code": int64(418)}}))
	require.Equal(r.T, 418, r.get("default", "client", r.nginx(), 1)[0].code)
	undo()
	require.Equal(r.T, before.code, r.get("default", "client", r.nginx(), 1)[0].code)
}

// usage returns the CPU use in cores of a container, as the kubelet reports it.
func (r *rig) usage(pod corev1.Pod, container string) float64 {
	r.T.Helper()
	data, err := r.Kube.CoreV1().RESTClient().Get().AbsPath("/api/v1/nodes/" + pod.Spec.NodeName + "/proxy/stats/summary").DoRaw(r.T.Context())
	require.NoError(r.T, err)
	var summary struct {
		Pods []struct {
			PodRef     struct{ Name string }
			Containers []struct {
				Name string
				CPU  struct{ UsageNanoCores float64 }
			}
		}
	}
	require.NoError(r.T, json.Unmarshal(data, &summary))
	for _, p := range summary.Pods {
		for _, c := range p.Containers {
			if p.PodRef.Name == pod.Name && c.Name == container {
				return c.CPU.UsageNanoCores / 1e9
			}
		}
	}
	return 0
}

func stressCPU(r *rig) {
	pod := r.ReadyPods("app=tikv")[0]
	example := all(r.example("burn-cpu.yaml"))
	require.NoError(r.T, unstructured.SetNestedField(example.Object, map[string]any{
		"namespaces": []any{"default"}, "pods": map[string]any{"default": []any{pod.Name}},
	}, "spec", "selector"))
	unstructured.RemoveNestedField(example.Object, "spec", "stressors", "cpu", "options")
	undo := r.inject(example)
	r.Eventually("the container uses a CPU", func() (bool, string) {
		used := r.usage(pod, "tikv")
		return used > 0.4, fmt.Sprint(used)
	})
	r.T.Logf("%.2f cores", r.usage(pod, "tikv"))
	undo()
	r.Eventually("the container rests", func() (bool, string) {
		used := r.usage(pod, "tikv")
		return used < 0.2, fmt.Sprint(used)
	})
}

func restarts(p corev1.Pod, container string) (int32, *corev1.ContainerStateTerminated) {
	for _, c := range p.Status.ContainerStatuses {
		if c.Name == container {
			return c.RestartCount, c.LastTerminationState.Terminated
		}
	}
	return 0, nil
}

func stressMemory(r *rig) {
	pod := r.ReadyPods("app=tikv")[0]
	example := all(r.example("cause-pod-oom.yaml"))
	require.NoError(r.T, unstructured.SetNestedField(example.Object, map[string]any{
		"pods": map[string]any{"default": []any{pod.Name}},
	}, "spec", "selector"))
	undo := r.inject(example)
	r.Eventually("the container is out of memory", func() (bool, string) {
		now, err := r.Kube.CoreV1().Pods("default").Get(r.T.Context(), pod.Name, metav1.GetOptions{})
		require.NoError(r.T, err)
		n, last := restarts(*now, "tikv")
		return n > 0 && last != nil && last.Reason == "OOMKilled" && last.ExitCode == 137, fmt.Sprint(n, last)
	})
	undo()
	r.Eventually("the pod works again", func() (bool, string) { return len(r.ReadyPods("app=tikv")) == 2, "" })
}

func containerKill(r *rig) {
	pod := r.ReadyPods("app=monitor")[0]
	undo := r.inject(r.example("container-kill-example.yaml"))
	r.Eventually("the container was killed", func() (bool, string) {
		now, err := r.Kube.CoreV1().Pods("default").Get(r.T.Context(), pod.Name, metav1.GetOptions{})
		require.NoError(r.T, err)
		killed, last := restarts(*now, "prometheus")
		other, _ := restarts(*now, "sidecar")
		return killed == 1 && other == 0 && last.ExitCode == 137, fmt.Sprint(killed, other, last)
	})
	undo()
}

func podKill(r *rig) {
	before := map[string]bool{}
	for _, p := range r.ReadyPods("app=tikv") {
		before[p.Name] = true
	}
	undo := r.inject(r.example("pod-kill-example.yaml"))
	r.Eventually("a pod was replaced", func() (bool, string) {
		now := r.ReadyPods("app=tikv")
		kept := 0
		for _, p := range now {
			if before[p.Name] {
				kept++
			}
		}
		return len(now) == 2 && kept == 1, fmt.Sprint(len(now), kept)
	})
	undo()
}

func podFailure(r *rig) {
	undo := r.inject(r.example("pod-failure-example.yaml"))
	paused := func() int {
		list, err := r.Kube.CoreV1().Pods("default").List(r.T.Context(), metav1.ListOptions{LabelSelector: "app=tikv"})
		require.NoError(r.T, err)
		n := 0
		for _, p := range list.Items {
			if strings.Contains(p.Spec.Containers[0].Image, "pause") {
				n++
			}
		}
		return n
	}
	require.Equal(r.T, 1, paused())
	r.Eventually("a pod does not serve", func() (bool, string) {
		for _, p := range r.ReadyPods("app=tikv") {
			if q := r.get("default", "client", "http://"+p.Status.PodIP+":8080/", 1)[0]; q.exit != 0 {
				return true, ""
			}
		}
		return len(r.ReadyPods("app=tikv")) < 2, "both serve"
	})
	undo()
	r.Eventually("it serves again", func() (bool, string) {
		ready := r.ReadyPods("app=tikv")
		for _, p := range ready {
			if q := r.get("default", "client", "http://"+p.Status.PodIP+":8080/", 1)[0]; q.exit != 0 {
				return false, p.Name
			}
		}
		return len(ready) == 2 && paused() == 0, fmt.Sprint(len(ready), paused())
	})
}

// asTheyAre applies the examples without a change: each is injected and, with its duration, recovered by itself.
func asTheyAre(r *rig) {
	for _, name := range []string{
		"network-bandwidth-example.yaml", "network-corrupt-example.yaml", "network-delay-example.yaml", "network-delay-with-target-example.yaml",
		"network-duplicate-example.yaml", "network-loss-example.yaml", "network-netem-example.yaml", "network-netem-with-target-example.yaml",
		"network-partition-example.yaml", "burn-cpu.yaml",
	} {
		begin := time.Now()
		undo := r.inject(r.example(name))
		undo()
		r.T.Logf("%s in %s", name, time.Since(begin).Round(time.Millisecond))
	}
	example := r.example("network-delay-example.yaml")
	undo := r.inject(example)
	defer undo()
	r.Eventually("it ends by itself after 10 s", func() (bool, string) {
		now, err := r.Client(example).Get(r.T.Context(), example.GetName(), metav1.GetOptions{})
		require.NoError(r.T, err)
		conditions, _, _ := unstructured.NestedSlice(now.Object, "status", "conditions")
		for _, c := range conditions {
			if c := c.(map[string]any); c["type"] == "AllRecovered" && c["status"] == "True" {
				return true, ""
			}
		}
		return false, fmt.Sprint(conditions)
	})
}
